"""Building blocks of figures: labels in color over an image, their contours, lines of text, a legend, rows, pages.

A view is (h, w, 3) uint8 RGB; a mask is (h, w) uint8, 0 background, i class i, 255 ignored. Nothing here knows runs or
scores, so that both prepared data and predictions can be drawn with it.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from promptseg.data.image_io import IGNORED
from promptseg.report import canvas

GAP, MARGIN = 4, 8  # pixels: between views, and around a page
_SWATCH = 11  # pixels: side of the square of a color in a legend


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """Return the (width, height) of an image whose longer side is resized to `side` pixels."""
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image or a map of values to (width, height)."""
    shrinks = size[1] < array.shape[0]
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def nearest(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize labels to (width, height); none are mixed."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)


def dim(image: np.ndarray) -> np.ndarray:
    """Make an image a background for colors: dark, in 20 grays."""
    # More grays are hardly visible, and without their noise the file is a third smaller.
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 13 * 8
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def color_layer(labels: np.ndarray, colors: Sequence | np.ndarray, view: np.ndarray) -> np.ndarray:
    """Color labels and resize them to a view; colors are averaged, so that single pixels do not vanish.

    Args:
        labels: unsigned integers, 0 background, of any size.
        colors: of labels 1, 2, ...; other labels are transparent.
        view: (h, w, 3) uint8.

    Returns:
        (h, w, 4) uint8 RGBA, colors premultiplied by alpha.
    """
    table = np.zeros((np.iinfo(labels.dtype).max + 1, 4), np.uint8)
    table[1 : len(colors) + 1, :3], table[1 : len(colors) + 1, 3] = colors, 255
    shrinks = view.shape[0] < labels.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT
    return cv2.resize(table[labels], view.shape[1::-1], interpolation=interpolation)


def tint(view: np.ndarray, layer: np.ndarray, strength: float) -> np.ndarray:
    """Blend a layer of `color_layer` over a view, (h, w, 3), with an opacity in [0, 1]."""
    return (view * (1 - layer[..., 3:] * (strength / 255)) + layer[..., :3] * strength).astype(np.uint8)


def outline(view: np.ndarray, labels: np.ndarray, colors: Sequence | np.ndarray, thickness: int = 1) -> None:
    """Draw the contour of each label into a view.

    Args:
        view: (h, w, 3) uint8.
        labels: (h, w) integers, 0 background.
        colors: one color for all labels, or those of labels 1, 2, ...; labels without a color are not drawn.
        thickness: in pixels.
    """
    for label in np.unique(labels[labels > 0]).tolist():
        if np.ndim(colors) == 1 or label <= len(colors):
            color = colors if np.ndim(colors) == 1 else colors[label - 1].tolist()
            where = (labels == label).astype(np.uint8)
            contours, _ = cv2.findContours(where, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(view, contours, -1, color, thickness, cv2.LINE_8)


def hatch(view: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Hatch a view in place where a mask of any size is ignored, and return it."""
    ignored = nearest(mask, view.shape[1::-1]) == IGNORED
    rows, columns = np.indices(ignored.shape)
    view[ignored & ((rows + columns) % 6 < 2)] = canvas.GRAY
    return view


def ground_truth(background: np.ndarray, mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Draw a mask over a view: classes tinted and outlined, ignored pixels hatched.

    Args:
        background: (h, w, 3) uint8.
        mask: uint8, of any size.
        colors: (classes, 3) uint8; labels without a color are not drawn.

    Returns:
        (h, w, 3) uint8.
    """
    view = tint(background, color_layer(mask, colors, background), 0.6)
    outline(view, nearest(mask, background.shape[1::-1]), colors)
    return hatch(view, mask)


def paper(height: int, width: int) -> np.ndarray:
    """A view of the color of paper."""
    return np.full((height, width, 3), canvas.PAPER, np.uint8)


def pad(view: np.ndarray, height: int, width: int) -> np.ndarray:
    """Place a view at the upper left of paper that is at least as large."""
    below, right = max(0, height - view.shape[0]), max(0, width - view.shape[1])
    return np.pad(view, ((0, below), (0, right), (0, 0)), constant_values=canvas.PAPER[0])


def beside(views: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Put views in a row, aligned at the top, `gap` pixels of paper between them."""
    height = max(len(view) for view in views)
    spaced = [pad(view, height, view.shape[1] + gap) for view in views[:-1]]
    return np.concatenate([*spaced, pad(views[-1], height, 0)], axis=1)


def below(strips: list[np.ndarray]) -> np.ndarray:
    """Put strips below each other, aligned at the left."""
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([pad(strip, 0, width) for strip in strips])


def page(strips: list[np.ndarray]) -> np.ndarray:
    """Put strips below each other, with a margin around them."""
    return np.pad(below(strips), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=canvas.PAPER[0])


def trim(row: np.ndarray) -> np.ndarray:
    """Cut off the paper at the bottom of a row of views, which wide images leave."""
    filled = np.flatnonzero((row < canvas.PAPER).any(axis=(1, 2)))
    return row[: filled.max(initial=0) + 1]


def line(words: str, width: int, above: int = 0, size: int = canvas.FONT_SIZE) -> np.ndarray:
    """A strip of `width` pixels with a line of text, cut to it. above: pixels of paper; size: of the font."""
    return canvas.text(paper(above + round(canvas.LINE * size / canvas.FONT_SIZE), width), words, (0, above), size)


def titles(words: tuple[str, ...], side: int) -> np.ndarray:
    """A strip with a title over each of several views of `side` pixels in a row."""
    return beside([line(title, side, size=12) for title in words])


def legend(entries: Sequence[tuple[str, Sequence[int] | None]], width: int) -> np.ndarray:
    """A legend in as many lines of `width` pixels as it needs. entries: names and colors; None: text alone."""
    rows: list[list[np.ndarray]] = [[]]
    for name, color in entries:
        indent = _SWATCH + 5 if color else 0
        strip = canvas.text(paper(canvas.LINE, min(canvas.length(name) + indent, width)), name, (indent, 0))
        if color:
            strip[1 : _SWATCH + 1, :_SWATCH] = color
        if rows[-1] and sum(entry.shape[1] + 14 for entry in rows[-1]) + strip.shape[1] > width:
            rows.append([])
        rows[-1].append(strip)
    return below([paper(8, width), *(beside(row, 14) for row in rows)])
