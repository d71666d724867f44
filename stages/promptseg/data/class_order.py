"""Order of the classes at each pixel, which eight bits would lose: confident classes tie at the same value."""

import numpy as np


def best_class(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the class with the highest value at each pixel, the lower one of two with equal values.

    Args:
        maps: (classes, h, w) float or uint8, at most 255 classes.

    Returns:
        Its index, (h, w) uint8, and its value, (h, w) of the maps' dtype.
    """
    best, highest = np.zeros(maps.shape[1:], np.uint8), maps[0].copy()
    higher = np.empty(best.shape, bool)
    indexes = higher.view(np.uint8)
    for index, values in enumerate(maps[1:], start=1):  # argmax over the first axis takes many times as long
        np.greater(values, highest, out=higher)
        np.maximum(highest, values, out=highest)
        np.multiply(indexes, np.uint8(index), out=indexes)
        np.maximum(best, indexes, out=best)  # indexes only grow
    return best, highest


def put_best_above(values: np.ndarray, best: np.ndarray) -> None:
    """Lower, in place, the values that equal that of the best class by one; the best one and zeros stay.

    Args:
        values: (classes, h, w) uint8, of which none exceeds that of the best class; contiguous.
        best: (h, w) uint8, index of the best class.
    """
    if len(values) == 1:
        return
    planes, pixels = values.reshape(len(values), -1), np.arange(best.size)
    highest = planes[best.ravel(), pixels]
    np.minimum(planes, highest - (highest > 0), out=planes)
    planes[best.ravel(), pixels] = highest
