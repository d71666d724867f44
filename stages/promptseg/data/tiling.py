"""Tiling of large images, and blending of the predictions of overlapping tiles."""

import operator
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """A rectangle of an image, in pixels; windows sort by row, then by column."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Rows of the image that the tile covers."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the image that the tile covers."""
        return slice(self.left, self.left + self.width)

    def of(self, array: np.ndarray) -> np.ndarray:
        """View an array whose last two axes are rows and columns: a mask (h, w), probability maps (k, h, w).

        Raises ValueError where the window exceeds the array, since numpy would truncate it silently.
        """
        self.check(*array.shape[-2:])
        return array[..., self.rows, self.columns]

    def of_image(self, image: np.ndarray) -> np.ndarray:
        """View an array whose first two axes are rows and columns: (h, w), (h, w, 3). Raises as `of`."""
        self.check(*image.shape[:2])
        return image[self.rows, self.columns]

    def check(self, height: int, width: int) -> None:
        """Raise ValueError unless the window has pixels and lies inside an image of this size."""
        inside = self.top >= 0 and self.left >= 0 and self.rows.stop <= height and self.columns.stop <= width
        if not inside or self.height < 1 or self.width < 1:
            raise ValueError(f"{self} is empty or not inside an image of {height} x {width}")


def windows(height: int, width: int, tile: int | None, overlap: int = 0, border: str = "shift") -> list[Window]:
    """Tile an image.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tile: side of a tile in pixels; None: one window, the whole image.
        overlap: pixels that neighbouring tiles share, in 0..tile-1.
        border: what happens at the end of a row or column where a whole tile does not fit. `shift`: the last tile moves
            back to end at the border, so that it shares more; in an image smaller than a tile, windows are as large as
            the image. `cut`: the last tile is smaller. `drop`: it is left out, and those pixels are in no window.

    Returns:
        The windows, row by row.

    Raises:
        ValueError: a size is below 1, the overlap out of range or the border unknown.
    """
    height, width, overlap = map(operator.index, (height, width, overlap))
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height} x {width} has no pixels")
    if overlap < 0:
        raise ValueError(f"overlap ({overlap}) must not be negative")
    if border not in _STARTS:
        raise ValueError(f"unknown border {border!r}; known: {', '.join(_STARTS)}")
    if tile is None:
        return [Window(0, 0, height, width)]
    tile = operator.index(tile)
    if tile < 1:
        raise ValueError(f"tile ({tile}) must be positive")
    if overlap >= tile:
        raise ValueError(f"overlap ({overlap}) must be smaller than tile ({tile})")
    tops, lefts = (_STARTS[border](extent, tile, tile - overlap) for extent in (height, width))
    return [Window(top, left, min(tile, height - top), min(tile, width - left)) for top in tops for left in lefts]


def weights(height: int, width: int) -> np.ndarray:
    """Compute blending weights of a tile's pixels: 1 in the corners, largest in the center.

    The product of two triangles (a Bartlett window without its zero ends, unscaled), so that over the overlap of two
    neighbours (up to half a tile) one fades into the other linearly.

    Returns:
        (height, width) float32.
    """
    return np.outer(_triangle(height), _triangle(width))


class Blender:
    """Merge overlapping tiles: the mean at each pixel, weighted by `weights`.

    Blend probabilities, not logits: logits have no common scale, and a tile with large logits would outweigh its
    neighbours. Tiles come one at a time and none is retained: memory is (channels + 1) float32 planes of the image and
    three of a tile.

    The mean is updated incrementally (West 1979, doi:10.1145/359146.359153), so that a pixel of one tile has exactly
    that tile's value, and a pixel whose tiles agree exactly the common value. Equal tiles in equal order give equal
    bytes; another order may differ in the last bits.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        channels: number of maps.
    """

    def __init__(self, height: int, width: int, channels: int):
        if min(height, width, channels) < 1:
            raise ValueError(f"height, width and channels must be positive, got {height}, {width}, {channels}")
        self._mean = np.zeros((channels, height, width), np.float32)
        self._total = np.zeros((height, width), np.float32)
        self._weights = self._share = self._step = np.empty((0, 0), np.float32)

    def add(self, values: np.ndarray, window: Window) -> None:
        """Blend in a tile.

        Args:
            values: (channels, h, w), finite; floats, bool, or integers of at most 16 bits.
            window: place of the tile.

        Raises:
            ValueError: the window is outside of the image, or the values have another shape.
            TypeError: the values have another dtype.
        """
        values = np.asarray(values)
        mean, total = window.of(self._mean), window.of(self._total)
        if values.shape != mean.shape:
            raise ValueError(f"values of shape {values.shape} for {window}: expected {mean.shape}")
        if values.dtype.kind != "f" and not np.can_cast(values.dtype, np.float32):
            raise TypeError(f"values are {values.dtype}: expected floats, bool or integers of at most 16 bits")
        if self._weights.shape != total.shape:  # once an image, as its windows have one size
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
        """Return the blended image so far.

        Returns:
            values: (channels, height, width) float32, 0 where no tile is; a read-only view, since the image may be
                huge: later tiles change it.
            covered: (height, width) bool, True where a tile is.
        """
        values = self._mean.view()
        values.flags.writeable = False
        return values, self._total > 0


def _shift(extent: int, tile: int, step: int) -> list[int]:
    last = max(extent - tile, 0)
    return [*range(0, last, step), last]


def _cut(extent: int, tile: int, step: int) -> list[int]:
    # Up to the first tile that reaches the border: the next would hold no new pixel.
    return [0, *range(step, extent - (tile - step), step)]


def _drop(extent: int, tile: int, step: int) -> list[int]:
    return list(range(0, extent - tile + 1, step))


def _triangle(extent: int) -> np.ndarray:
    rising = np.arange(1, extent + 1, dtype=np.float32)
    return np.minimum(rising, rising[::-1])


_STARTS = {"shift": _shift, "cut": _cut, "drop": _drop}
