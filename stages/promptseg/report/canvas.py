"""Colors, text and PNG files of all figures.

Views are (h, w, 3) uint8 RGB. The named colors are those of Okabe and Ito (jfly.uni-koeln.de/color), which can be told
apart with every kind of color vision.
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
TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, WRONG_CLASS = OUTCOMES = SKY, YELLOW, VERMILLION, PURPLE
FONT_SIZE, LINE = 11, 16  # pixels: of text, and height of a line of that size
TINT = 0.75  # strength of the colors of outcomes over gray images

_COLORS = 192  # of a PNG file; on photographs off by 1 in 255 on average, and a tenth smaller than with all 256
# Six of the colors above, lighter and darker ones of the same hues, then each as far in CIELAB as possible from all
# before (Glasbey et al. 2007), and neither dark, near white nor gray: those are images, paper and ignored pixels.
_CLASS_COLORS = """
    009e73 e69f00 0072b2 cc79a7 d55e00 56b4e9 7fceb8 f2ce7f 7fb8d8 e5bbd2 e9ae7f aad9f3 00563f 7e5700 003e61 70425b
    753300 2f6380 7711ff 00ff00 ff00cc ff0066 ccee22 9977ff 00ff99 339900 ff0022 bb0077 bbee88 cc5555 bbaaff 999900
    ff88ff aa00cc 778855 884499 0088ff 77ee55 0055ff ffdd00 00eeff 996655 33eebb ff6699 337722 8877aa ccddaa ff00ff
    338888 00bb66 ff9999 bb2211 bb22aa dddd55 ff9955 5555bb 88bb11 ff55bb ff5555 bb6633 aa4466 ffbbff 88bb77 aaaa55
    9955ff bb77dd 667711 ccccff 6699ee ff5500 bb8822 dd66ff bb1155 00bb00 88ee00 00ff66 ffcc55 77cc55 2266ee 9944cc
    ffccbb 33bbcc aa9977 77ee99 ff0088 bb11ff 776633 ff8800 aa7788 11ddcc aa4488 8877cc ff88cc 99eebb cc0033 aa8844
    669922 994444 227744 887700 bb88cc ff0044 ccbb00 00cc55 ee7755 0088aa 3366bb ffaacc cc7766 88aa88 bbee55 cc7700
    ee55dd aaeeee 7788aa cc9988 22aa99 ee4466 55aa55 885588 66ff44 6633ee ff00aa ff7788 99bb55 66ddff aa4400 cc66bb
    eeaa55 665599 556644 ff5533 dd44ff 008822 55cc99 ffddaa 558866 6644cc ccdd88 99bbff ccaadd 77cc00 996633 dd5599
    ccaa33 dddd11 556622 cc8855 00aaff cc7788 eebb00 bbeecc dd2200 ff88aa 8888ff aabb00 ccbb88 6666ff 77ee77 995500
    556699 ee99ee 66dddd 779944 bb55cc cc22cc dd00aa dd2277 ff9977 aa2288 77bbbb dd0022 dd5533 995566 007766 009955
    ff33ee bb3333 ccaa55 bbbb44 bbeeaa ffdd44 00dd00 22dd44 9999cc aa3344 eeaaaa aa88aa eedd77 5599aa 00aa33 6688ee
    aa66aa aa4433 ff77dd dd5577 55bb22 ff7733 aabb77 aaee33 aacc44 ee9933 8855bb cc99aa 0099ff 99ee66 6699cc dd99cc
    00dd88 cc99ff 77ff00 558844 669988 33aacc aa9933 dd2299 dd7733 7766dd 9933ff 7788cc 886688 00ffbb 77cc77 99ccff
    993399 66ff77 aaccaa bb66ee 2244ff dd88ff 888833 88cc99 66aa77 887755 ff2200 776611 88aa22 337788 44bb77 00ccff
    bb8866 bb3377 55cc66 99ee88 aa6688 77eecc dd55bb eeccff 00bb99 ff44cc 9933dd 447766 9999ff bb44dd
"""


def class_colors(count: int) -> np.ndarray:
    """Choose colors for classes.

    Args:
        count: number of classes, at most 254.

    Returns:
        (count, 3) uint8; a class has the same color however many there are.
    """
    return np.frombuffer(bytes.fromhex(_CLASS_COLORS), np.uint8).reshape(-1, 3)[:count]


def write_png(path: Path, view: np.ndarray, colors: Sequence[Sequence[int]] | np.ndarray = ()) -> None:
    """Write a view with a palette, a quarter of the bytes of RGB; equal views give equal files.

    Args:
        path: PNG file to write.
        view: (h, w, 3) uint8.
        colors: colors that must not change, besides those of this module.
    """
    grays = np.arange(0, 153, 25)[:, None]  # of images below the colors of outcomes
    outcomes = [np.array(color) * TINT + grays * (1 - TINT) for color in OUTCOMES]
    fixed = np.concatenate([[PAPER, INK, *OUTCOMES, GREEN, ORANGE, BLUE, GRAY, *colors], *outcomes])
    others = Image.fromarray(view).quantize(_COLORS - len(fixed), method=Image.Quantize.MEDIANCUT, kmeans=1)
    image = with_palette(view, np.concatenate([fixed, np.array(others.getpalette()).reshape(-1, 3)]), len(fixed))
    with replacing(path) as aside:
        image.save(aside, format="PNG", optimize=True)


def with_palette(view: np.ndarray, colors: np.ndarray, fixed: int) -> Image.Image:
    """Give each pixel of a view one of the nearest colors of a palette.

    Args:
        view: (h, w, 3) uint8.
        colors: (n, 3), at most 256.
        fixed: number of the first colors that do not change.
    """
    colors = np.asarray(colors).astype(np.uint8)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.tobytes())
    indices = np.array(Image.fromarray(view).quantize(palette=palette, dither=Image.Dither.NONE))
    base = np.array([1 << 16, 1 << 8, 1])
    codes = view @ base
    for index, code in enumerate(colors[:fixed] @ base):  # Pillow's search is off by a few values
        indices[codes == code] = index
    image = Image.fromarray(indices)
    image.putpalette(colors.tobytes())
    return image


def text(view: np.ndarray, words: str, place: tuple[int, int], size: int = FONT_SIZE, ink: tuple = INK) -> np.ndarray:
    """Write one line of text.

    Args:
        view: (h, w, 3) uint8.
        words: the text; cut where the view ends.
        place: x, y of its upper left corner, in pixels.
        size: of the font, in pixels.
        ink: color.

    Returns:
        A copy of the view with the text.
    """
    image = Image.fromarray(view)
    ImageDraw.Draw(image).text(place, _cut(words, view.shape[1] - place[0], size), fill=ink, font=_font(size))
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


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans out of matplotlib's folder (which is slow to import): it is on every machine that runs this.

    The basic layout, since the other one is only available where a system library is.
    """
    spec = importlib.util.find_spec("matplotlib")
    package = Path(spec.submodule_search_locations[0])  # type: ignore[union-attr, index]  # an installed package
    return ImageFont.truetype(
        package / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", size, layout_engine=ImageFont.Layout.BASIC
    )
