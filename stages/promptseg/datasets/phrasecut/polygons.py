"""Outlines of regions as annotators click them: held in 4 bytes a point, and drawn as a mask.

A dataset with hundreds of thousands of regions keeps all of their outlines while it is read: as lists of Python
numbers that is gigabytes, in whole pixels of 16 bits some tens of megabytes.
"""

import cv2
import numpy as np

FARTHEST = 2**15 - 1  # pixels: the largest coordinate, of either sign
_START = -(2**15)  # the row (_START, 0) stands before the points of each polygon


def pack(instances: object) -> bytes:
    """[instance][polygon][[x, y], ...], as JSON gives it, as one row of bytes for `draw`.

    Coordinates are cut off to whole pixels, towards zero. Polygons of fewer than 3 points are left out, so the result
    may be empty. Raises ValueError where the nesting is another, or a coordinate is no finite number up to FARTHEST.
    """
    rows = []
    for instance in _list(instances):
        for polygon in _list(instance):
            if len(_list(polygon)) >= 3:
                rows += [[[_START, 0]], _points(polygon)]
    return np.concatenate(rows).astype(np.int16).tobytes() if rows else b""


def draw(outlines: bytes, size: tuple[int, int]) -> np.ndarray:
    """The union of packed polygons in a mask of (width, height): (h, w) uint8 of 0 and 1.

    A polygon holds its outline; within itself the even-odd rule applies, as in Pillow. What lies outside is clipped.
    """
    mask = np.zeros(size[::-1], np.uint8)
    points = np.frombuffer(outlines, np.int16).reshape(-1, 2).astype(np.int32)
    for polygon in np.split(points, np.flatnonzero(points[:, 0] == _START))[1:]:
        cv2.fillPoly(mask, [polygon[1:]], 1)  # one by one: in one call, where two overlap would be a hole
    return mask


def _list(value: object) -> list:
    if type(value) is not list:
        raise ValueError("Polygons are not nested as [instance][polygon][[x, y], ...]")
    return value


def _points(polygon: list) -> np.ndarray:
    """(n, 2) float64 of whole pixels."""
    try:
        points = np.array(polygon)
    except ValueError:  # rows of different lengths
        points = np.empty(0)
    if points.dtype.kind not in "iuf" or points.shape[1:] != (2,):  # words, nulls and endless numbers have other kinds
        raise ValueError("a polygon is no list of points [x, y] of numbers")
    if not ((points >= -FARTHEST) & (points <= FARTHEST)).all():  # NaN is neither
        raise ValueError(f"a coordinate is not a finite number up to {FARTHEST}")
    return np.trunc(points)
