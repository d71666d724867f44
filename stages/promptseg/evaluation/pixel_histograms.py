"""Exact histograms of the pixels of uint8 arrays, as fast as one core counts them."""

from functools import lru_cache

import cv2
import numpy as np

_PIXELS = 2**24  # OpenCV's histograms are float32, exact up to this number
_ONES = np.uint64(2**64 - 1)  # eight pixels of 255
_APART = 8  # pixels from one that is counted to the next
_DENSE = 0.8  # share of other pixels from which on it takes longer to take out those of 0 and 255 than to count them


def joint(channels: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """Count pixels by the values of one to three arrays.

    Args:
        channels: uint8 each, of one shape, with values below those of `sizes`.
        sizes: number of values of each.

    Returns:
        int64 of shape `sizes`.
    """
    flat = [channel.reshape(1, -1) for channel in channels]  # one row: OpenCV takes as long to begin each
    ranges = [bound for size in sizes for bound in (0, size)]
    result = np.zeros(sizes, np.int64)
    for start in range(0, channels[0].size, _PIXELS):
        part = [channel[:, start : start + _PIXELS] for channel in flat]
        result += cv2.calcHist(part, range(len(sizes)), None, sizes, ranges).reshape(sizes).astype(np.int64)
    return result


def of_labels(channels: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """Compute `joint` of one or two arrays most of whose pixels are equal to their neighbors, in half the time.

    A processor waits when it adds twice to one number; neighboring columns are counted apart.
    """
    return joint([_columns(channels[0].shape), *channels], [4, *sizes]).sum(axis=0)


def of_values(plane: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Count the pixels of a probability map by value.

    Where models are sure, maps are 0 or 255 nearly everywhere: eight such pixels in a row are counted at once, as a
    processor waits when it adds to one number again and again.

    Args:
        plane: (h, w) uint8.
        mask: (h, w) uint8, 1 where a pixel counts, elsewhere 0; None: all do.

    Returns:
        (256,) int64.
    """
    if mask is not None:
        result = of_values(plane * mask)
        result[0] -= mask.size - cv2.countNonZero(mask)
        return result
    if cv2.countNonZero(plane) > _DENSE * plane.size:
        return _of_dense(plane)
    pixels = plane.ravel()
    words = pixels[: pixels.size // 8 * 8].view(np.uint64)
    zeros, ones = words == 0, words == _ONES
    number_of_zeros, number_of_ones = np.count_nonzero(zeros), np.count_nonzero(ones)
    if number_of_zeros + number_of_ones < (1 - _DENSE) * words.size:
        return _of_dense(plane)
    rest = np.concatenate([words[~(zeros | ones)].view(np.uint8), pixels[words.size * 8 :]])
    result = joint([rest], [256])
    result[[0, 255]] += 8 * number_of_zeros, 8 * number_of_ones
    return result


def _of_dense(plane: np.ndarray) -> np.ndarray:
    """Compute `joint` of one map, taking pixels that are not neighbors one after another, as these are often equal."""
    pixels = plane.ravel()
    rows = pixels.size // _APART
    channels, rest = pixels[: rows * _APART].reshape(1, rows, _APART), pixels[rows * _APART :]
    result = joint([rest], [256])
    for start in range(0, rows, _PIXELS):
        part = channels[:, start : start + _PIXELS]
        for channel in range(_APART):
            result += cv2.calcHist([part], [channel], None, [256], [0, 256]).reshape(256).astype(np.int64)
    return result


@lru_cache(maxsize=1)
def _columns(shape: tuple[int, int]) -> np.ndarray:
    return np.broadcast_to(np.arange(shape[1], dtype=np.uint8) % 4, shape).copy()
