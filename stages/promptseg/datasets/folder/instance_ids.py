"""Label images whose values number the instances of one class, as Cellpose and micro-sam save them.

The same values could be classes that nobody listed, or the soft edges of one class. They are taken for ids only where
each is one region, neighbouring regions are not just neighbouring values, and there are too many for classes; or
several without a gap.
"""

from enum import IntEnum

import cv2
import numpy as np

SEVERAL = 5  # ids in one mask; fewer may be classes
MANY = 32  # ids, or one above 255: no classes, so that gaps do not matter (cells at the border are removed, say)
_PIECES = 1.5  # regions an id at most, on average: a cell may be cut by another
_SMOOTH = 0.9  # of the borders between different values; soft edges and distance maps have steps of 1 nearly everywhere
_PIXELS = 4  # an id at least, on average: values of soft edges are scattered
_MAX_ID = 65535


class Evidence(IntEnum):
    """What the values of a mask say about all masks of a dataset."""

    AGAINST = 0
    WITHOUT_GAPS = 1  # ids, if those of the other masks have no gaps either
    CERTAIN = 2


def evidence(values: np.ndarray, ids: list[int], listed: set[int]) -> Evidence | None:
    """Judge whether the values of a mask are ids.

    Args:
        values: (h, w) of the mask, integers.
        ids: those of its values that have no other meaning, sorted.
        listed: values that have one.

    Returns:
        None where they are too few to tell.
    """
    if len(ids) < SEVERAL:
        return None
    if not are_regions(values, ids, listed):
        return Evidence.AGAINST
    if len(ids) >= MANY or ids[-1] > 255:
        return Evidence.CERTAIN
    return Evidence.WITHOUT_GAPS if without_gaps(ids, listed) else Evidence.AGAINST


def agree(values: np.ndarray, ids: list[int], listed: set[int], found: Evidence) -> bool:
    """Whether a mask is like the one that gave evidence for ids; arguments as those of `evidence`."""
    if found is Evidence.WITHOUT_GAPS and not without_gaps(ids, listed):
        return False
    return len(ids) == 1 or are_regions(values, ids, listed)


def without_gaps(ids: list[int], listed: set[int]) -> bool:
    """Whether ids and values that have another meaning are 1, 2, 3, ..."""
    return len(ids) + len(listed) >= ids[-1] and set(range(1, ids[-1] + 1)) <= {*ids, *listed}


def are_regions(values: np.ndarray, ids: list[int], listed: set[int]) -> bool:
    """Whether each id is one region, and neighboring ones differ by more than 1; arguments as those of `evidence`."""
    labels = np.where(np.isin(values, sorted(listed)), 0, values).astype(np.int64)
    scattered = np.count_nonzero(labels) < _PIXELS * len(ids)
    return not scattered and _regions(labels) <= _PIECES * len(ids) and not _is_smooth(labels)


def numbered(values: np.ndarray, ids: list[int], listed: set[int]) -> np.ndarray:
    """The ids as instances: (h, w) uint16, 0 elsewhere; unchanged where they fit, else counted through.

    Raises:
        ValueError: there are too many.
    """
    if len(ids) > _MAX_ID:
        raise ValueError(f"{len(ids):,} instances, where {_MAX_ID:,} can be told apart")
    inside = ~np.isin(values, sorted(listed))
    if ids and ids[-1] > _MAX_ID:
        values = np.searchsorted(ids, values) + 1
    return np.where(inside, values, 0).astype(np.uint16)


def _regions(labels: np.ndarray) -> int:
    """Number of 8-connected regions of one value each, without those of 0.

    Counted in an image of twice the size, in which neighbouring pixels of one value are joined.
    """
    height, width = labels.shape
    joined = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    joined[::2, ::2] = labels > 0
    joined[::2, 1::2] = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    joined[1::2, ::2] = (labels[1:] == labels[:-1]) & (labels[1:] > 0)
    down, up = labels[1:, 1:], labels[1:, :-1]
    joined[1::2, 1::2] = ((down == labels[:-1, :-1]) & (down > 0)) | ((up == labels[:-1, 1:]) & (up > 0))
    return cv2.connectedComponents(joined, connectivity=8)[0] - 1


def _is_smooth(labels: np.ndarray) -> bool:
    """Whether values change in steps of 1."""
    steps = np.concatenate([np.abs(np.diff(labels, axis=axis)).ravel() for axis in (0, 1)])
    steps = steps[steps > 0]
    return steps.size > 0 and np.mean(steps == 1) > _SMOOTH
