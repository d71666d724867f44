"""Outlines of objects: closed loops, or strokes along lines, in the square [-1, 1] around the object's center."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

FRACTION_BITS = 4  # of coordinates, as cv2 takes them
MIN_STROKE = 2  # pixels


@dataclass(frozen=True)
class Outline:
    """Outline of a part.

    Attributes:
        loops: arrays (n, 2) of x, y; filled by the even-odd rule.
        width: of strokes along the loops, in radii, instead of the filled area; None: no strokes.
    """

    loops: tuple[np.ndarray, ...]
    width: float | None = None

    def transformed(self, matrix: np.ndarray, shift: tuple[float, float] = (0.0, 0.0)) -> "Outline":
        """Map every point p to matrix @ p + shift; a stroke keeps its width."""
        return Outline(tuple(loop @ np.asarray(matrix).T + shift for loop in self.loops), self.width)

    def stroke(self, radius: float) -> int:
        """Width of the stroke in pixels; 0 where there is none."""
        return 0 if self.width is None else max(MIN_STROKE, round(self.width * radius))


def rasterize(outline: Outline, radius: float, x: float, y: float) -> tuple[np.ndarray, int, int]:
    """Rasterize an outline, without antialiasing.

    Args:
        outline: the outline.
        radius: pixels per unit of the outline.
        x: column of the center in the image, pixels.
        y: row of the center in the image, pixels.

    Returns:
        Mask, (h, w) uint8 of 0 and 1, and the column and row of its first pixel, which may lie outside the image.
    """
    stroke = outline.stroke(radius)
    points = np.concatenate(outline.loops) * radius + (x, y)
    left, top = np.floor(points.min(axis=0)).astype(int) - stroke - 1
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + stroke + 2
    mask = np.zeros((bottom - top, right - left), np.uint8)
    # Pixel i covers [i, i + 1), and cv2 counts from the center of the first one.
    center = (x - left - 0.5, y - top - 0.5)
    loops = [np.round((loop * radius + center) * 2**FRACTION_BITS).astype(np.int32) for loop in outline.loops]
    if stroke:
        cv2.polylines(mask, loops, False, 1, stroke, cv2.LINE_8, FRACTION_BITS)
    else:
        cv2.fillPoly(mask, loops, 1, cv2.LINE_8, FRACTION_BITS)
    return mask, int(left), int(top)


def rotation(angle: float) -> np.ndarray:
    """Matrix (2, 2) of a rotation by an angle in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _arc(start: float, end: float, radius: float = 1.0, x: float = 0.0, count: int = 48) -> np.ndarray:
    angle = np.linspace(start, end, count)
    return np.stack([x + radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _circle(rng: np.random.Generator) -> Outline:
    return Outline((_arc(0, 2 * np.pi),))


def _oval(rng: np.random.Generator) -> Outline:
    return Outline((_arc(0, 2 * np.pi) * (1, rng.uniform(0.35, 0.65)),))


def _square(rng: np.random.Generator) -> Outline:
    return Outline((0.8 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]),))


def _rectangle(rng: np.random.Generator) -> Outline:
    return Outline((np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (0.95, rng.uniform(0.25, 0.58)),))


def _triangle(rng: np.random.Generator) -> Outline:
    angle = np.array([0, 2.1, 4.2]) + rng.uniform(-0.35, 0.35, 3)
    return Outline((np.stack([np.cos(angle), np.sin(angle)], axis=1),))


def _star(rng: np.random.Generator) -> Outline:
    arms = rng.integers(5, 9)
    angle = np.arange(2 * arms) * np.pi / arms
    distance = np.where(np.arange(2 * arms) % 2, rng.uniform(0.3, 0.5), 1.0)
    return Outline((np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1),))


def _ring(rng: np.random.Generator) -> Outline:
    squeeze = (1, rng.choice([1.0, rng.uniform(0.55, 1.0)]))
    return Outline((_arc(0, 2 * np.pi) * squeeze, _arc(0, 2 * np.pi, rng.uniform(0.45, 0.82)) * squeeze))


def _crescent(rng: np.random.Generator) -> Outline:
    half = rng.uniform(0.7, 1.2)  # of the angle between the two tips
    middle = rng.uniform(0.45, 0.8)
    inner = np.hypot(np.cos(half) - middle, np.sin(half))
    tip = np.arctan2(np.sin(half), np.cos(half) - middle)
    return Outline((np.concatenate([_arc(half, 2 * np.pi - half), _arc(-tip, tip - 2 * np.pi, inner, middle)]),))


def _cross(rng: np.random.Generator) -> Outline:
    w = rng.uniform(0.16, 0.4)
    quarter = np.array([(w, w), (w, 1), (-w, 1)])
    return Outline((np.concatenate([quarter @ rotation(side * np.pi / 2).T for side in range(4)]),))


def _blob(rng: np.random.Generator) -> Outline:
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    frequencies = np.arange(2, 7)
    amplitudes = rng.normal(0, 0.32, 5) / frequencies ** rng.uniform(0.4, 1.1)
    distance = 1 + amplitudes @ np.cos(frequencies[:, None] * angle + rng.uniform(0, 2 * np.pi, (5, 1)))
    distance = np.clip(distance / distance.max(), 0.15, 1)
    return Outline((np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1),))


def _line(rng: np.random.Generator) -> Outline:
    return Outline((np.array([(-1.0, 0.0), (1.0, 0.0)]),), rng.uniform(0.03, 0.22))


def _curve(rng: np.random.Generator) -> Outline:
    """A path whose direction changes by at least a quarter of a turn from end to end."""
    bend = rng.choice([-1, 1]) * rng.uniform(1.6, 5.0)
    steps = np.linspace(-0.5, 0.5, 40)
    direction = bend * steps + rng.uniform(0, 1.2) * np.sin(steps * rng.uniform(4, 12) + rng.uniform(0, 6))
    points = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0)
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    return Outline((points / np.abs(points).max(),), rng.uniform(0.03, 0.22))


def _branch(rng: np.random.Generator) -> Outline:
    """A bent stem with twigs on it."""
    points = _curve(rng).loops[0][::3] * (1, 0.6)
    loops = [points]
    for _ in range(rng.integers(2, 7)):
        start = points[rng.integers(1, len(points))]
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 6))
        loops.append(start + rng.uniform(0.06, 0.14) * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], 1), axis=0))
        loops[-1] = np.concatenate([start[None], loops[-1]])
    return Outline(tuple(loops), rng.uniform(0.025, 0.07))


def _comb(rng: np.random.Generator) -> Outline:
    """Parallel bars on a crossbar."""
    teeth = rng.integers(4, 9)
    across = np.linspace(-1, 1, teeth)
    loops = [np.array([(-1.0, -0.6), (1.0, -0.6)])] + [np.array([(x, -0.6), (x, 0.6)]) for x in across]
    return Outline(tuple(loops), rng.uniform(0.05, 0.12))


def _grid(rng: np.random.Generator) -> Outline:
    """Two sets of crossing bars."""
    along, across = np.linspace(-0.8, 0.8, rng.integers(3, 6)), np.linspace(-0.8, 0.8, rng.integers(3, 6))
    loops = [np.array([(-0.9, y), (0.9, y)]) for y in along] + [np.array([(x, -0.9), (x, 0.9)]) for x in across]
    return Outline(tuple(loops), rng.uniform(0.04, 0.09))


OUTLINES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "circle": _circle, "oval": _oval, "square": _square, "rectangle": _rectangle, "triangle": _triangle, "star": _star,
    "ring": _ring, "crescent": _crescent, "cross": _cross, "blob": _blob, "line": _line, "curve": _curve,
    "branch": _branch, "comb": _comb, "grid": _grid,
}  # fmt: skip
STRANDS = ("line", "curve", "branch", "comb", "grid")
ROUND = ("circle", "oval", "blob")
SOLID = tuple(name for name in OUTLINES if name not in (*STRANDS, "ring", "crescent"))  # with room for a core
