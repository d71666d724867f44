"""Geometry of binary masks: components, boxes, interior_points pixels and boundary bands.

A mask is bool (h, w), True inside. Whatever lies beyond the picture counts as outside.
"""

import math

import cv2
import numpy as np


def components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the 8-connected components.

    Returns labels int32 (h, w), 0 outside and 1..count inside, and the count. Labels follow the order in which a scan,
    row by row, meets the components.
    """
    count, labels = cv2.connectedComponents(_bytes(mask), connectivity=8)
    # cv2 numbers in an order that depends on its algorithm. Each component's first pixel starts a run of its row, so
    # only such pixels are looked at; assigned backwards, the first one of each component is what stays.
    starts = mask.copy()
    starts[:, 1:] &= ~mask[:, :-1]
    places = np.flatnonzero(starts)[::-1]
    first = np.full(count, -1)
    first[labels.ravel()[places]] = places
    renumbered = np.empty(count, np.int32)
    renumbered[np.argsort(first)] = np.arange(count, dtype=np.int32)
    return renumbered[labels], count - 1


def box(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """The tight box (x0, y0, x1, y1) in pixels, or None when the mask is empty.

    Coordinates are continuous: pixel i covers [i, i + 1), so that x1 - x0 is the width.
    """
    x, y, width, height = cv2.boundingRect(_bytes(mask))
    if width == 0:
        return None
    return float(x), float(y), float(x + width), float(y + height)


def interior_points(mask: np.ndarray, n: int) -> np.ndarray:
    """The n interior_points pixels as float64 (n, 2), x then y, each at the center of its pixel; (0, 2) when the mask is empty.

    Depth is the Euclidean distance to the nearest pixel outside. The first is the interior_points of all (the first in scan
    order of equals). Each next one is the interior_points at least r away from all chosen before, where r starts as the first
    one's depth and halves when no pixel is left. So no pixel is taken twice while the mask has enough; after that they
    repeat in the same order.
    """
    framed = cv2.copyMakeBorder(_bytes(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    ys, xs = np.nonzero(mask)
    if len(ys) == 0:
        return np.empty((0, 2))
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[ys + 1, xs + 1]
    apart = float(depth.max())
    chosen = [int(np.argmax(depth))]
    gap = np.full(len(ys), np.inf)  # squared distance of each pixel to the nearest chosen one
    while len(chosen) < min(n, len(ys)):
        gap = np.minimum(gap, (xs - xs[chosen[-1]]) ** 2 + (ys - ys[chosen[-1]]) ** 2)
        while gap.max() < apart**2:
            apart = max(apart / 2, 1.0)  # two pixels are at least 1 apart, so some free pixel passes then
        chosen.append(int(np.argmax(np.where(gap >= apart**2, depth, -1.0))))
    picked = np.resize(chosen, n)
    return np.stack([xs[picked] + 0.5, ys[picked] + 0.5], axis=1)


def boundary(mask: np.ndarray, ratio: float = 0.02) -> np.ndarray:
    """The mask's pixels within max(1, round(ratio * diagonal)) of its contour, as bool (h, w).

    The same pixels as `mask_to_boundary` of boundary-iou-api (Cheng et al. 2021, Boundary IoU), whose frame of zeros
    is a zero border here. cv2 turns the iterations into one erosion by a (2d + 1)-wide square.
    """
    inside = _bytes(mask)
    distance = max(1, round(ratio * math.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    square = np.ones((3, 3), np.uint8)
    core = cv2.erode(inside, square, iterations=distance, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (core == 0)


def _bytes(mask: np.ndarray) -> np.ndarray:
    """The mask as uint8 0 or 1, as cv2 wants it. Raises ValueError when it is not bool (h, w)."""
    if mask.ndim != 2 or mask.dtype != bool or mask.size == 0:
        raise ValueError(f"a mask is bool (h, w), got {mask.dtype} {mask.shape}")
    return np.ascontiguousarray(mask).view(np.uint8)
