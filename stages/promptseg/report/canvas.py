"""What pictures for people are made of: colors that all can tell apart, words, and small PNG files.

The colors are those of Okabe and Ito (jfly.uni-koeln.de/color), chosen to differ for every kind of color vision.
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
PAPER, INK, WHITE = (255, 255, 255), (40, 40, 40), (255, 255, 255)
LINE = 16  # pixels: height of a line of text
HIT, MISS, FALSE_ALARM, OTHER_CLASS = SKY, YELLOW, VERMILLION, PURPLE
_COLORS = 192  # of a file; on photographs off by 1 in 255 on average, and a tenth smaller than with all 256
TINT = 0.75  # how strongly these are laid over gray pictures


def class_colors(count: int) -> np.ndarray:
    """(count, 3) uint8: six colors, the same ones lighter, then darker.

    Of more than 18, those after the twelfth are each as unlike all before it as can be (Glasbey et al. 2007).
    """
    base = np.array([GREEN, ORANGE, BLUE, PURPLE, VERMILLION, SKY], np.float32)
    first, darker = np.concatenate([base, base * 0.5 + 127]).astype(np.uint8), (base * 0.55).astype(np.uint8)
    if count <= len(first) + len(darker):
        return np.concatenate([first, darker])[:count]
    return np.concatenate([first, _unlike(first, count - len(first))])


def tint(view: np.ndarray, layer: np.ndarray, strength: float) -> np.ndarray:
    """Lay (h, w, 4) uint8 RGBA, colors premultiplied by alpha, over (h, w, 3) uint8 with a strength in [0, 1]."""
    return (view * (1 - layer[..., 3:] * (strength / 255)) + layer[..., :3] * strength).astype(np.uint8)


def write_png(path: Path, array: np.ndarray, colors: Sequence[Sequence[int]] = ()) -> None:
    """Write (h, w, 3) uint8 RGB with a palette, a quarter of the bytes; the same array gives the same file.

    Our own colors are in the palette, plain and over gray: else a few missed pixels would be averaged into what is
    near them. colors: what else must stay as it is.
    """
    own = np.concatenate([_own_colors(), np.array(colors, np.uint8).reshape(-1, 3)])
    found = Image.fromarray(array).quantize(_COLORS - len(own), method=Image.Quantize.MEDIANCUT, kmeans=1).getpalette()
    palette = np.concatenate([own, np.array(found, np.uint8).reshape(-1, 3)])
    picture = Image.fromarray(_nearest(array, palette))
    picture.putpalette(palette.ravel().tolist())
    with replacing(path) as aside:
        picture.save(aside, format="PNG", optimize=True)


def text(
    view: np.ndarray, words: str, place: tuple[int, int], width: int, size: int = 11, ink: tuple = INK
) -> np.ndarray:
    """The view with words on one line, their upper left corner at `place` (x, y), cut to `width` pixels."""
    picture = Image.fromarray(view)
    ImageDraw.Draw(picture).text(place, _cut(words, width, size), fill=ink, font=_font(size))
    return np.array(picture)


def length(words: str, size: int = 11) -> int:
    """How many pixels wide `text` writes them."""
    return int(_font(size).getlength(words)) + 1


def wrap(words: str, width: int, most: int) -> list[str]:
    """Words on at most `most` lines of `width` pixels; the last line takes what is left, and `text` cuts it."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(lines) < most and length(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(words: str, width: int, size: int) -> str:
    words = " ".join(words.split())
    if length(words, size) <= width:
        return words
    kept = bisect.bisect_right(range(len(words)), width, key=lambda count: length(words[:count] + "…", size)) - 1
    return words[: max(kept, 0)].rstrip() + "…"


def _nearest(array: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Indices (h, w) uint8 of the palette's nearest colors. Pillow's own search is off by up to four values."""
    red, green, blue = array.astype(np.uint32).transpose(2, 0, 1)
    colors, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    points = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.int32)
    table, best = palette.astype(np.int32), np.empty(len(points), np.uint8)
    for start in range(0, len(points), 4096):  # all at once, a picture of many colors would take gigabytes
        part = points[start : start + 4096]
        best[start : start + 4096] = ((table * table).sum(1) - 2 * part @ table.T).argmin(1)
    return best[places].reshape(array.shape[:2])


def _unlike(colors: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) uint8: one after the other, the color whose nearest before it is farthest, as the eye sees it."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    places = _lab(grid)
    # Neither dark, near white nor gray: those are the pictures below, paper and what is ignored.
    seen = (places[:, 0] > 40) & (places[:, 0] < 90) & (np.hypot(places[:, 1], places[:, 2]) > 20)
    grid, places = grid[seen], places[seen]
    nearest = np.linalg.norm(places[:, None] - _lab(colors), axis=2).min(axis=1)
    found = []
    for _ in range(count):
        found.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[found[-1]], axis=1))
    return grid[found].astype(np.uint8)


def _lab(colors: np.ndarray) -> np.ndarray:
    """CIELAB of (n, 3) sRGB values, with its power law in place of both curves' straight feet."""
    to_xyz = np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
    x, y, z = np.cbrt((colors / 255.0) ** 2.2 @ to_xyz.T / to_xyz.sum(axis=1)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _own_colors() -> np.ndarray:
    plain = np.array([PAPER, INK, SKY, YELLOW, VERMILLION, PURPLE, GREEN, ORANGE, BLUE, GRAY])
    grays = np.arange(0, 153, 25)[:, None]
    over_gray = [np.array(color) * TINT + grays * (1 - TINT) for color in (HIT, MISS, FALSE_ALARM, OTHER_CLASS)]
    return np.concatenate([plain, *over_gray]).astype(np.uint8)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans out of matplotlib's folder (which is not imported): it is on every machine that runs this.

    The basic layout, since the other one is there only where a system library is.
    """
    package = Path(importlib.util.find_spec("matplotlib").submodule_search_locations[0])
    return ImageFont.truetype(
        package / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size, layout_engine=ImageFont.Layout.BASIC
    )
