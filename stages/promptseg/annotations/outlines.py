"""Outlines as annotation files have them: points that are checked, rectangles and ellipses that are turned, nesting."""

import math
from collections.abc import Sequence

import numpy as np

_SAGITTA = 0.02  # pixels that an ellipse lies outside of its polygon at most
_LEAST = 32  # points of an ellipse
_LARGEST = 200_000.0  # pixels of a radius; one that is larger has as many points, and no image


def ring(points: object) -> np.ndarray:
    """Check the points of an outline and leave out a last one that closes it.

    Args:
        points: x and y of each, numbers or their text, nested or flat.

    Returns:
        (n, 2) float64.

    Raises:
        ValueError: fewer than three points, or something that is no point; the message says which, without a place.
    """
    try:
        found = np.asarray(points, np.float64)
        found = found.reshape(-1, 2) if found.ndim == 1 else found
    except (TypeError, ValueError):
        raise ValueError("its points are not pairs of numbers") from None
    if found.ndim != 2 or found.shape[1] < 2 or not np.isfinite(found).all():
        raise ValueError("its points are not pairs of numbers")
    found = np.ascontiguousarray(found[:, :2])
    if len(found) > 1 and (found[0] == found[-1]).all():
        found = found[:-1]
    if len(found) < 3:
        count = "1 point" if len(found) == 1 else f"{len(found)} points"
        raise ValueError(f"a polygon of {count} has no area; it needs 3, so correct or remove it")
    return found


def rectangle(left: float, top: float, right: float, bottom: float, degrees: float = 0) -> np.ndarray:
    """Outline a rectangle that is turned about its center.

    Args:
        left: of the rectangle before it is turned, in pixels.
        top: likewise.
        right: likewise.
        bottom: likewise.
        degrees: clockwise, as y points down.

    Returns:
        (4, 2) float64.

    Raises:
        ValueError: a number is not finite.
    """
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return ring(_turned(corners, ((left + right) / 2, (top + bottom) / 2), degrees))


def ellipse(x: float, y: float, x_radius: float, y_radius: float, degrees: float = 0) -> np.ndarray:
    """Outline an ellipse, by as many points as keep it within a fiftieth of a pixel.

    Args:
        x: of the center, in pixels.
        y: likewise.
        x_radius: half of the width before it is turned, in pixels.
        y_radius: half of the height.
        degrees: clockwise, as y points down.

    Returns:
        (n, 2) float64.

    Raises:
        ValueError: a number is not finite.
    """
    longer = max(abs(x_radius), abs(y_radius), 1.0)
    if not math.isfinite(longer):
        raise ValueError("its radius is not a number")
    count = max(_LEAST, math.ceil(math.pi / math.acos(1 - _SAGITTA / min(longer, _LARGEST))))
    angles = 2 * np.pi * np.arange(count) / count
    points = np.stack([x + x_radius * np.cos(angles), y + y_radius * np.sin(angles)], axis=1)
    return ring(_turned(points, (x, y), degrees))


def nested(rings: Sequence[np.ndarray]) -> list[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """Tell outer outlines from holes by the even-odd rule: what lies in an odd number of others is a hole.

    Args:
        rings: outlines that do not cross each other, each (n, 2).

    Returns:
        Each outer outline with the holes that lie directly in it, in the order given.
    """
    areas = [_area(each) for each in rings]
    around = [
        [j for j in range(len(rings)) if areas[j] > areas[i] and _mostly_inside(rings[i], rings[j])]
        for i in range(len(rings))
    ]
    outer = [i for i, others in enumerate(around) if len(others) % 2 == 0]
    holes: dict[int, list[np.ndarray]] = {i: [] for i in outer}
    for i, others in enumerate(around):
        if len(others) % 2:
            holes[min(others, key=lambda j: areas[j])].append(rings[i])
    return [(rings[i], tuple(holes[i])) for i in outer]


def _turned(points: np.ndarray, center: tuple[float, float], degrees: float) -> np.ndarray:
    if not degrees:
        return points
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (points - center) @ np.array([(cos, sin), (-sin, cos)]) + center


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _mostly_inside(points: np.ndarray, other: np.ndarray) -> bool:
    """Whether most middles of the sides of one outline lie in another: corners may touch it."""
    middles = (points + np.roll(points, -1, axis=0)) / 2
    if (middles.max(axis=0) < other.min(axis=0)).any() or (middles.min(axis=0) > other.max(axis=0)).any():
        return False
    crossings = np.zeros(len(middles), int)
    for (x0, y0), (x1, y1) in zip(other, np.roll(other, -1, axis=0), strict=True):
        if y0 != y1:
            level = (y0 <= middles[:, 1]) != (y1 <= middles[:, 1])
            crossings += level & (middles[:, 0] < x0 + (middles[:, 1] - y0) * (x1 - x0) / (y1 - y0))
    return float(np.mean(crossings % 2)) > 0.5
