"""Annotated polygons: packed into 4 bytes per point, and rasterized as a mask.

The reader holds the outlines of hundreds of thousands of regions in memory: as lists of Python numbers they take
gigabytes, as 16-bit pixel coordinates some tens of megabytes.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike

MAX_COORDINATE = 2**15 - 1  # pixels, positive or negative
_START = -(2**15)  # the row (_START, 0) precedes the points of each polygon


def pack(instances: object) -> bytes:
    """Pack the polygons of a region.

    Args:
        instances: [instance][polygon][[x, y], ...], as parsed from JSON.

    Returns:
        Bytes for `rasterize`, with coordinates truncated towards zero to whole pixels and without polygons of fewer
        than 3 points; empty if none is left.

    Raises:
        ValueError: the nesting is different, or a coordinate is not a finite number up to MAX_COORDINATE.
    """
    rows: list[ArrayLike] = []
    for instance in _list(instances):
        for polygon in _list(instance):
            if len(_list(polygon)) >= 3:
                rows += [[[_START, 0]], _points(polygon)]
    return np.concatenate(rows).astype(np.int16).tobytes() if rows else b""


def rasterize(outlines: bytes, size: tuple[int, int]) -> np.ndarray:
    """Rasterize the union of packed polygons.

    A polygon includes its outline; a self-intersecting one is filled by the even-odd rule, as in Pillow.

    Args:
        outlines: from `pack`.
        size: (width, height) of the mask; polygons are clipped to it.

    Returns:
        (h, w) uint8 of 0 and 1.
    """
    mask = np.zeros(size[::-1], np.uint8)
    points = np.frombuffer(outlines, np.int16).reshape(-1, 2).astype(np.int32)
    for polygon in np.split(points, np.flatnonzero(points[:, 0] == _START))[1:]:
        cv2.fillPoly(mask, [polygon[1:]], 1)  # one by one: in one call, an overlap would be a hole
    return mask


def _list(value: object) -> list:
    if type(value) is not list:
        raise ValueError("Polygons are not nested as [instance][polygon][[x, y], ...]")
    return value


def _points(polygon: list) -> np.ndarray:
    """Convert a polygon to (n, 2) float64 of whole pixels."""
    try:
        points = np.array(polygon)
    except ValueError:  # rows of different lengths
        points = np.empty(0)
    if points.dtype.kind not in "iuf" or points.shape[1:] != (2,):  # strings, nulls and huge integers have other kinds
        raise ValueError("a polygon is not a list of points [x, y]")
    if not ((points >= -MAX_COORDINATE) & (points <= MAX_COORDINATE)).all():  # false for NaN
        raise ValueError(f"a coordinate is not a finite number up to {MAX_COORDINATE}")
    return np.trunc(points)
