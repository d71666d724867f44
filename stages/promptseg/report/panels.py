"""What grids of pictures are put together from: a truth over a gray picture, outlines, padding, a legend.

A view is (h, w, 3) uint8 RGB; a mask is (h, w) uint8, 0 background, i class i, 255 ignored. Knows neither runs nor
scores, so that both what is prepared and what was predicted can be shown with it.
"""

import cv2
import numpy as np

from promptseg.data.image_io import IGNORED
from promptseg.report import canvas

GAP, MARGIN = 4, 8  # pixels: between views, round a page


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """(width, height) of a picture whose longer side is made `side` pixels."""
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def dim(picture: np.ndarray) -> np.ndarray:
    """A picture as ground for colors: dark, in 20 grays."""
    # Nobody misses the others, and noise that is left out makes the file a third smaller.
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) // 13 * 8
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def truth(ground: np.ndarray, mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """A mask of any size over a view: classes tinted and outlined in (classes, 3) colors, what is ignored hatched."""
    table = np.zeros((256, 4), np.uint8)
    table[1 : len(colors) + 1] = np.pad(colors, ((0, 0), (0, 1)), constant_values=255)
    view = canvas.tint(ground, layer(table[mask], ground), 0.6)
    small = nearest(mask, ground.shape[1::-1])
    for number in np.unique(small):
        if 0 < number <= len(colors):
            outline(view, small == number, colors[number - 1].tolist())
    return hatch(view, mask)


def layer(colors: np.ndarray, view: np.ndarray) -> np.ndarray:
    """RGBA of every pixel at the size of the view; shrunk as colors, so that no speck is lost."""
    shrinks = view.shape[0] < colors.shape[0]
    return cv2.resize(colors, view.shape[1::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT)


def hatch(view: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The view, changed in place: hatched where a mask of any size is ignored."""
    ignored = nearest(mask, view.shape[1::-1]) == IGNORED
    rows, columns = np.indices(ignored.shape)
    view[ignored & ((rows + columns) % 6 < 2)] = canvas.GRAY
    return view


def outline(view: np.ndarray, where: np.ndarray, color: tuple | list, thickness: int = 1) -> None:
    """Draw the edges of a mask, bool (h, w), into a view of its size."""
    edges, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(view, edges, -1, color, thickness, cv2.LINE_8)


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture or a map of values at a size (width, height)."""
    shrinks = size[1] < array.shape[0]
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def nearest(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels at a size (width, height)."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)


def pad(view: np.ndarray, side: int) -> np.ndarray:
    """The view on a square of paper, at its top and in its middle."""
    left = (side - view.shape[1]) // 2
    square = paper(side, side)
    square[: view.shape[0], left : left + view.shape[1]] = view
    return square


def paper(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), canvas.PAPER, np.uint8)


def beside(views: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Views of one height in a row, `gap` pixels of paper between them."""
    space = paper(views[0].shape[0], gap)
    return np.concatenate([part for view in views for part in (view, space)][:-1], axis=1)


def trim(row: np.ndarray) -> np.ndarray:
    """A row of views without the paper that wide pictures leave below them."""
    filled = np.flatnonzero((row < canvas.PAPER).any(axis=(1, 2)))
    return row[: filled.max(initial=0) + 1]


def titles(words: tuple[str, ...], side: int, width: int) -> np.ndarray:
    """A strip with a word over each of several views in a row."""
    strip = paper(canvas.LINE + 4, width)
    for column, title in enumerate(words):
        strip = canvas.text(strip, title, (column * (side + GAP), 0), side, size=12)
    return strip


def legend(entries: list[tuple[str, tuple | list | None]], width: int) -> np.ndarray:
    """Names with their colors, None for words alone, in as many lines of `width` pixels as they need."""
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


def page(parts: list[np.ndarray]) -> np.ndarray:
    """Strips of one width below each other, with a margin round them."""
    return np.pad(np.concatenate(parts), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=255)
