"""Building blocks of figures: a mask over a gray image, outlines, padding, a legend.

A view is (h, w, 3) uint8 RGB; a mask is (h, w) uint8, 0 background, i class i, 255 ignored. Nothing here knows runs or
scores, so that both prepared data and predictions can be drawn with it.
"""

import cv2
import numpy as np

from promptseg.data.image_io import IGNORED
from promptseg.report import canvas

GAP, MARGIN = 4, 8  # pixels: between views, and around a page


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """Return the (width, height) of an image whose longer side is resized to `side` pixels."""
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def dim(image: np.ndarray) -> np.ndarray:
    """Make an image a background for colors: dark, in 20 grays."""
    # More grays are hardly visible, and without their noise the file is a third smaller.
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 13 * 8
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def ground_truth(background: np.ndarray, mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Draw a mask over a view: classes tinted and outlined, ignored pixels hatched.

    Args:
        background: (h, w, 3) uint8.
        mask: uint8, of any size.
        colors: (classes, 3) uint8; labels without a color are not drawn.

    Returns:
        (h, w, 3) uint8.
    """
    table = np.zeros((256, 4), np.uint8)
    table[1 : len(colors) + 1] = np.pad(colors, ((0, 0), (0, 1)), constant_values=255)
    view = canvas.tint(background, layer(table[mask], background), 0.6)
    small = nearest(mask, background.shape[1::-1])
    for number in np.unique(small):
        if 0 < number <= len(colors):
            outline(view, small == number, colors[number - 1].tolist())
    return hatch(view, mask)


def layer(colors: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Resize RGBA pixels to the size of a view; colors are averaged, so that single pixels do not vanish."""
    shrinks = view.shape[0] < colors.shape[0]
    return cv2.resize(colors, view.shape[1::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT)


def hatch(view: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Hatch a view in place where a mask of any size is ignored, and return it."""
    ignored = nearest(mask, view.shape[1::-1]) == IGNORED
    rows, columns = np.indices(ignored.shape)
    view[ignored & ((rows + columns) % 6 < 2)] = canvas.GRAY
    return view


def outline(view: np.ndarray, where: np.ndarray, color: tuple | list, thickness: int = 1) -> None:
    """Draw the contours of a mask, bool (h, w), into a view of its size."""
    contours, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(view, contours, -1, color, thickness, cv2.LINE_8)


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image or a map of values to (width, height)."""
    shrinks = size[1] < array.shape[0]
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def nearest(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize labels to (width, height); none are mixed."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)


def pad(view: np.ndarray, side: int) -> np.ndarray:
    """Place a view on a square of paper, at the top and horizontally centered."""
    left = pad_left(view, side)
    square = paper(side, side)
    square[: view.shape[0], left : left + view.shape[1]] = view
    return square


def pad_left(view: np.ndarray, side: int) -> int:
    """Return how many columns of paper `pad` puts to the left of a view."""
    return (side - view.shape[1]) // 2


def paper(height: int, width: int) -> np.ndarray:
    """A view of the color of paper."""
    return np.full((height, width, 3), canvas.PAPER, np.uint8)


def beside(views: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Put views of one height in a row, `gap` pixels of paper between them."""
    space = paper(views[0].shape[0], gap)
    return np.concatenate([strip for view in views for strip in (view, space)][:-1], axis=1)


def trim(row: np.ndarray) -> np.ndarray:
    """Cut off the paper at the bottom of a row of views, which wide images leave."""
    filled = np.flatnonzero((row < canvas.PAPER).any(axis=(1, 2)))
    return row[: filled.max(initial=0) + 1]


def titles(words: tuple[str, ...], side: int, width: int) -> np.ndarray:
    """A strip of `width` pixels with a title over each of several views of `side` pixels in a row."""
    strip = paper(canvas.LINE + 4, width)
    for column, title in enumerate(words):
        strip = canvas.text(strip, title, (column * (side + GAP), 0), side, size=12)
    return strip


def legend(entries: list[tuple[str, tuple | list | None]], width: int) -> np.ndarray:
    """A legend in as many lines of `width` pixels as it needs. entries: names and colors; None: text alone."""
    places, x, y = [], 0, 8
    for name, color in entries:
        needed = canvas.length(name) + (16 if color else 0)
        if x and x + needed > width:
            x, y = 0, y + canvas.LINE
        places.append((x, y, name, color))
        x += needed + 14
    strip = paper(y + canvas.LINE, width)
    for x, y, name, color in places:
        if color:
            strip[y + 1 : y + 12, x : x + 11] = color
        strip = canvas.text(strip, name, (x + 16 if color else x, y), width - x)
    return strip


def page(strips: list[np.ndarray]) -> np.ndarray:
    """Put strips of one width below each other, with a margin around them."""
    return np.pad(np.concatenate(strips), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
