"""Colors, text and PNG files of all figures.

Views are (h, w, 3) uint8 RGB. The colors are those of Okabe and Ito (jfly.uni-koeln.de/color), which can be told apart
with every kind of color vision.
"""

import bisect
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from promptseg.core.files import replacing

SKY, YELLOW, VERMILLION, PURPLE = (86, 180, 233), (240, 228, 66), (213, 94, 0), (204, 121, 167)
GREEN, ORANGE, BLUE, GRAY = (0, 158, 115), (230, 159, 0), (0, 114, 178), (150, 150, 150)
PAPER, INK, WHITE, BLACK = (255, 255, 255), (40, 40, 40), (255, 255, 255), (0, 0, 0)
TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, WRONG_CLASS = SKY, YELLOW, VERMILLION, PURPLE
FONT_SIZE, LINE = 11, 16  # pixels: of text, and height of a line of that size
TINT = 0.75  # strength of these colors over gray images
_COLORS = 192  # of a file; on photographs off by 1 in 255 on average, and a tenth smaller than with all 256


def class_colors(count: int) -> np.ndarray:
    """Choose colors for classes.

    Args:
        count: number of classes.

    Returns:
        (count, 3) uint8: six colors, lighter ones of the same hues, then darker ones. Of more than 18 colors, those
        after the twelfth are each as different as possible from all before (Glasbey et al. 2007).
    """
    base = np.array([GREEN, ORANGE, BLUE, PURPLE, VERMILLION, SKY], np.float32)
    first, darker = np.concatenate([base, base * 0.5 + 127]).astype(np.uint8), (base * 0.55).astype(np.uint8)
    if count <= len(first) + len(darker):
        return np.concatenate([first, darker])[:count]
    return np.concatenate([first, _distinct_colors(first, count - len(first))])


def tint(view: np.ndarray, layer: np.ndarray, strength: float) -> np.ndarray:
    """Blend a layer over a view.

    Args:
        view: (h, w, 3) uint8.
        layer: (h, w, 4) uint8 RGBA, colors premultiplied by alpha.
        strength: opacity in [0, 1].

    Returns:
        (h, w, 3) uint8.
    """
    return (view * (1 - layer[..., 3:] * (strength / 255)) + layer[..., :3] * strength).astype(np.uint8)


def write_png(path: Path, array: np.ndarray, colors: Sequence[Sequence[int]] = ()) -> None:
    """Write a view with a palette, a quarter of the bytes of RGB; equal arrays give equal files.

    The colors of this module are in the palette, plain and over gray: otherwise a few false negatives would be averaged
    into the colors near them.

    Args:
        path: PNG file to write.
        array: (h, w, 3) uint8.
        colors: further colors that must not change.
    """
    fixed = np.concatenate([_fixed_colors(), np.array(colors, np.uint8).reshape(-1, 3)])
    quantized = Image.fromarray(array).quantize(_COLORS - len(fixed), method=Image.Quantize.MEDIANCUT, kmeans=1)
    palette = np.concatenate([fixed, np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)])
    image = Image.fromarray(_nearest_colors(array, palette))
    image.putpalette(palette.ravel().tolist())
    with replacing(path) as aside:
        image.save(aside, format="PNG", optimize=True)


def text(
    view: np.ndarray, words: str, place: tuple[int, int], width: int, size: int = FONT_SIZE, ink: tuple = INK
) -> np.ndarray:
    """Write one line of text.

    Args:
        view: (h, w, 3) uint8.
        words: the text; cut to the width.
        place: x, y of its upper left corner, in pixels.
        width: in pixels.
        size: of the font, in pixels.
        ink: color.

    Returns:
        A copy of the view with the text.
    """
    image = Image.fromarray(view)
    ImageDraw.Draw(image).text(place, _cut(words, width, size), fill=ink, font=_font(size))
    return np.array(image)


def length(words: str, size: int = FONT_SIZE) -> int:
    """Measure the width of a text in pixels, as `text` writes it."""
    return int(_font(size).getlength(words)) + 1


def wrap(words: str, width: int, most: int, size: int = FONT_SIZE) -> list[str]:
    """Break a text into at most `most` lines of `width` pixels; the last line takes the rest, which `text` cuts."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(lines) < most and length(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(words: str, width: int, size: int) -> str:
    words = " ".join(words.split())
    if length(words, size) <= width:
        return words
    fitting = bisect.bisect_right(range(len(words)), width, key=lambda count: length(words[:count] + "…", size)) - 1
    return words[: max(fitting, 0)].rstrip() + "…"


def _nearest_colors(array: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Indices (h, w) uint8 of the nearest colors of the palette. Pillow's own search is off by up to four values."""
    red, green, blue = array.astype(np.uint32).transpose(2, 0, 1)
    colors, inverse = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    points = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.int32)
    table, best = palette.astype(np.int32), np.empty(len(points), np.uint8)
    for start in range(0, len(points), 4096):  # all at once, an image of many colors would take gigabytes
        chunk = points[start : start + 4096]
        best[start : start + 4096] = ((table * table).sum(1) - 2 * chunk @ table.T).argmin(1)
    return best[inverse].reshape(array.shape[:2])


def _distinct_colors(colors: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) uint8: one after the other, the color whose nearest color before is farthest in CIELAB."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _lab(grid)
    # Neither dark, near white nor gray: those are the images below, paper and ignored pixels.
    allowed = (lab[:, 0] > 40) & (lab[:, 0] < 90) & (np.hypot(lab[:, 1], lab[:, 2]) > 20)
    grid, lab = grid[allowed], lab[allowed]
    nearest = np.linalg.norm(lab[:, None] - _lab(colors), axis=2).min(axis=1)
    chosen = []
    for _ in range(count):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
    return grid[chosen].astype(np.uint8)


def _lab(colors: np.ndarray) -> np.ndarray:
    """CIELAB of (n, 3) sRGB values, with power laws in place of the linear feet of both curves."""
    to_xyz = np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
    x, y, z = np.cbrt((colors / 255.0) ** 2.2 @ to_xyz.T / to_xyz.sum(axis=1)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _fixed_colors() -> np.ndarray:
    plain = np.array([PAPER, INK, SKY, YELLOW, VERMILLION, PURPLE, GREEN, ORANGE, BLUE, GRAY])
    grays = np.arange(0, 153, 25)[:, None]
    outcomes = (TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, WRONG_CLASS)
    over_gray = [np.array(color) * TINT + grays * (1 - TINT) for color in outcomes]
    return np.concatenate([plain, *over_gray]).astype(np.uint8)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans out of matplotlib's folder (which is not imported): it is on every machine that runs this.

    The basic layout, since the other one is only available where a system library is.
    """
    package = Path(importlib.util.find_spec("matplotlib").submodule_search_locations[0])
    return ImageFont.truetype(
        package / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size, layout_engine=ImageFont.Layout.BASIC
    )
