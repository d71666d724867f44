"""Cut a large picture into windows of one size, and blend what was predicted for each of them."""

import operator
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """A rectangle of a picture, in pixels; it sorts by row, then by column."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)

    def of(self, array: np.ndarray) -> np.ndarray:
        """View of the window where rows and columns are the last two axes: mask (h, w), probabilities (k, h, w).

        Raises ValueError where the window sticks out, since numpy would cut it short in silence.
        """
        self.check(*array.shape[-2:])
        return array[..., self.rows, self.columns]

    def of_picture(self, picture: np.ndarray) -> np.ndarray:
        """View of the window where rows and columns are the first two axes: (h, w), (h, w, 3). Raises as `of`."""
        self.check(*picture.shape[:2])
        return picture[self.rows, self.columns]

    def check(self, height: int, width: int) -> None:
        """Raise ValueError unless the window has pixels and lies inside a picture of this size."""
        inside = self.top >= 0 and self.left >= 0 and self.rows.stop <= height and self.columns.stop <= width
        if not inside or self.height < 1 or self.width < 1:
            raise ValueError(f"{self} is empty or not inside a picture of {height} x {width}")


def windows(height: int, width: int, tile: int | None, overlap: int = 0, edge: str = "shift") -> list[Window]:
    """Windows of one size, row by row; neighbours share `overlap` pixels, in 0..tile-1.

    edge: what happens at the end of a row or column where a whole tile does not fit. `shift`: the last one moves back
    to end at the border, so that it shares more; where the picture is smaller than a tile, its windows are as large as
    the picture. `cut`: the last one is smaller. `drop`: it is left out, and those pixels lie in no window.
    `tile` None: one window, the whole picture. Raises ValueError for sizes below 1, an overlap out of range, and an
    unknown edge.
    """
    height, width, overlap = map(operator.index, (height, width, overlap))
    if height < 1 or width < 1:
        raise ValueError(f"a picture of {height} x {width} has no pixels")
    if overlap < 0:
        raise ValueError(f"overlap ({overlap}) must not be negative")
    if edge not in _STARTS:
        raise ValueError(f"edge {edge!r} is none of {', '.join(_STARTS)}")
    if tile is None:
        return [Window(0, 0, height, width)]
    tile = operator.index(tile)
    if tile < 1:
        raise ValueError(f"tile ({tile}) must be positive")
    if overlap >= tile:
        raise ValueError(f"overlap ({overlap}) must be smaller than tile ({tile})")
    tops, lefts = (_STARTS[edge](extent, tile, tile - overlap) for extent in (height, width))
    return [Window(top, left, min(tile, height - top), min(tile, width - left)) for top in tops for left in lefts]


def overlapping(windows: Iterable[Window]) -> bool:
    """Whether any two windows of one picture share a pixel; n log n, in any order, of any sizes."""
    edges = []
    for window in windows:
        if window.height > 0 and window.width > 0:
            span = window.left, window.columns.stop
            edges += [(window.top, True, span), (window.rows.stop, False, span)]  # False < True: close, then open
    spans = []  # columns of the windows on the current row, sorted; disjoint, or we would have returned
    for _, opens, (left, right) in sorted(edges):
        at = bisect_left(spans, (left, right))
        if not opens:
            del spans[at]
        elif (at > 0 and spans[at - 1][1] > left) or (at < len(spans) and spans[at][0] < right):
            return True
        else:
            spans.insert(at, (left, right))
    return False


def weights(height: int, width: int) -> np.ndarray:
    """How much each pixel of a tile counts, (height, width) float32: 1 in the corners, largest in the center.

    The product of two triangles (a Bartlett window without its zero ends, unscaled), so that over the overlap of
    two neighbours (up to half a tile) the one fades into the other linearly.
    """
    return np.outer(_triangle(height), _triangle(width))


class Blender:
    """Puts overlapping tiles together: at each pixel the mean of its tiles, weighted by `weights`.

    Blend probabilities, not logits: logits have no common scale, and one tile with large ones would outvote its
    neighbours. Tiles come one at a time and none is kept: memory is (channels + 1) float32 planes of the picture
    and three of a tile.

    The mean is kept up to date instead of divided out at the end (West 1979, doi:10.1145/359146.359153). So a pixel
    of one tile has exactly that tile's value, and a pixel whose tiles agree has exactly the value they agree on.
    The same tiles in the same order give the same bytes; another order may differ in the last bits.
    """

    def __init__(self, height: int, width: int, channels: int):
        if min(height, width, channels) < 1:
            raise ValueError(f"height, width and channels must be positive, got {height}, {width}, {channels}")
        self._mean = np.zeros((channels, height, width), np.float32)
        self._total = np.zeros((height, width), np.float32)
        self._weights = self._share = self._step = np.empty((0, 0), np.float32)

    def add(self, values: np.ndarray, window: Window) -> None:
        """Blend in the tile of `window`: (channels, h, w), finite; floats, bool, or integers of at most 16 bits.

        Raises ValueError for a window outside the picture or values of another shape, TypeError for another dtype.
        """
        values = np.asarray(values)
        mean, total = window.of(self._mean), window.of(self._total)
        if values.shape != mean.shape:
            raise ValueError(f"values of shape {values.shape} for {window}: expected {mean.shape}")
        if values.dtype.kind != "f" and not np.can_cast(values.dtype, np.float32):
            raise TypeError(f"values are {values.dtype}: expected floats, bool or integers of at most 16 bits")
        if self._weights.shape != total.shape:  # once a picture, as its windows have one size
            self._weights = weights(*total.shape)
            self._share, self._step = np.empty_like(self._weights), np.empty_like(self._weights)
        np.add(total, self._weights, out=self._share)
        total[...] = self._share
        np.divide(self._weights, self._share, out=self._share)
        for channel, new in zip(mean, values, strict=True):
            np.subtract(new, channel, out=self._step, dtype=np.float32, casting="same_kind")
            self._step *= self._share
            channel += self._step

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Values (channels, H, W) float32 and covered (H, W) bool; what no tile covers is 0 and not covered.

        The values are a read-only view, not a copy, as the picture may be huge: later tiles still show in it.
        """
        values = self._mean.view()
        values.flags.writeable = False
        return values, self._total > 0


def _shift(extent: int, tile: int, step: int) -> list[int]:
    last = max(extent - tile, 0)
    return [*range(0, last, step), last]


def _cut(extent: int, tile: int, step: int) -> list[int]:
    # Up to the first tile that reaches the border: what would follow holds nothing new.
    return [0, *range(step, extent - (tile - step), step)]


def _drop(extent: int, tile: int, step: int) -> list[int]:
    return list(range(0, extent - tile + 1, step))


def _triangle(extent: int) -> np.ndarray:
    rising = np.arange(1, extent + 1, dtype=np.float32)
    return np.minimum(rising, rising[::-1])


_STARTS = {"shift": _shift, "cut": _cut, "drop": _drop}
