"""Outlines of things: closed loops, or a stroke along lines, in a square of [-1, 1] about the thing's middle."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

BITS = 4  # of a pixel's fraction, as cv2 draws
THINNEST = 2  # pixels of a stroke


@dataclass(frozen=True)
class Outline:
    """loops: (n, 2) x, y each; what an odd number of them goes round is inside. width: of a stroke along them in
    radii, in place of what they enclose."""

    loops: tuple[np.ndarray, ...]
    width: float | None = None

    def changed(self, matrix: np.ndarray, shift: tuple[float, float] = (0.0, 0.0)) -> "Outline":
        """Every place p as matrix @ p + shift; a stroke keeps its width."""
        return Outline(tuple(loop @ np.asarray(matrix).T + shift for loop in self.loops), self.width)

    def stroke(self, radius: float) -> int:
        """A stroke's width in pixels, 0 where there is none."""
        return 0 if self.width is None else max(THINNEST, round(self.width * radius))


def raster(outline: Outline, radius: float, x: float, y: float) -> tuple[np.ndarray, int, int]:
    """The pixels of an outline of that radius about (x, y): uint8 of 0 and 1 without soft edges, and the column and row
    of its first pixel, which may lie beyond the picture."""
    stroke = outline.stroke(radius)
    places = np.concatenate(outline.loops) * radius + (x, y)
    left, top = np.floor(places.min(axis=0)).astype(int) - stroke - 1
    right, bottom = np.ceil(places.max(axis=0)).astype(int) + stroke + 2
    mask = np.zeros((bottom - top, right - left), np.uint8)
    # Pixel i covers [i, i + 1), and cv2 counts from the center of the first one.
    corner = (x - left - 0.5, y - top - 0.5)
    loops = [np.round((loop * radius + corner) * 2**BITS).astype(np.int32) for loop in outline.loops]
    if stroke:
        cv2.polylines(mask, loops, False, 1, stroke, cv2.LINE_8, BITS)
    else:
        cv2.fillPoly(mask, loops, 1, cv2.LINE_8, BITS)
    return mask, int(left), int(top)


def turn(angle: float) -> np.ndarray:
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
    reach = np.where(np.arange(2 * arms) % 2, rng.uniform(0.3, 0.5), 1.0)
    return Outline((np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1),))


def _ring(rng: np.random.Generator) -> Outline:
    squeeze = (1, rng.choice([1.0, rng.uniform(0.55, 1.0)]))
    return Outline((_arc(0, 2 * np.pi) * squeeze, _arc(0, 2 * np.pi, rng.uniform(0.45, 0.82)) * squeeze))


def _crescent(rng: np.random.Generator) -> Outline:
    half = rng.uniform(0.7, 1.2)  # of the angle between the horns
    middle = rng.uniform(0.45, 0.8)
    inner = np.hypot(np.cos(half) - middle, np.sin(half))
    horn = np.arctan2(np.sin(half), np.cos(half) - middle)
    return Outline((np.concatenate([_arc(half, 2 * np.pi - half), _arc(-horn, horn - 2 * np.pi, inner, middle)]),))


def _cross(rng: np.random.Generator) -> Outline:
    w = rng.uniform(0.16, 0.4)
    quarter = np.array([(w, w), (w, 1), (-w, 1)])
    return Outline((np.concatenate([quarter @ turn(side * np.pi / 2).T for side in range(4)]),))


def _blob(rng: np.random.Generator) -> Outline:
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = np.arange(2, 7)
    size = rng.normal(0, 0.32, 5) / waves ** rng.uniform(0.4, 1.1)
    reach = 1 + size @ np.cos(waves[:, None] * angle + rng.uniform(0, 2 * np.pi, (5, 1)))
    reach = np.clip(reach / reach.max(), 0.15, 1)
    return Outline((np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1),))


def _line(rng: np.random.Generator) -> Outline:
    return Outline((np.array([(-1.0, 0.0), (1.0, 0.0)]),), rng.uniform(0.03, 0.22))


def _curve(rng: np.random.Generator) -> Outline:
    """A walk whose direction drifts; at least a quarter of a turn from end to end."""
    bend = rng.choice([-1, 1]) * rng.uniform(1.6, 5.0)
    steps = np.linspace(-0.5, 0.5, 40)
    direction = bend * steps + rng.uniform(0, 1.2) * np.sin(steps * rng.uniform(4, 12) + rng.uniform(0, 6))
    places = np.cumsum(np.stack([np.cos(direction), np.sin(direction)], axis=1), axis=0)
    places -= (places.min(axis=0) + places.max(axis=0)) / 2
    return Outline((places / np.abs(places).max(),), rng.uniform(0.03, 0.22))


def _branch(rng: np.random.Generator) -> Outline:
    """A bent stem with twigs on it."""
    places = _curve(rng).loops[0][::3] * (1, 0.6)
    loops = [places]
    for _ in range(rng.integers(2, 7)):
        start = places[rng.integers(1, len(places))]
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 6))
        loops.append(start + rng.uniform(0.06, 0.14) * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], 1), axis=0))
        loops[-1] = np.concatenate([start[None], loops[-1]])
    return Outline(tuple(loops), rng.uniform(0.025, 0.07))


def _comb(rng: np.random.Generator) -> Outline:
    """Bars on a beam."""
    teeth = rng.integers(4, 9)
    across = np.linspace(-1, 1, teeth)
    loops = [np.array([(-1.0, -0.6), (1.0, -0.6)])] + [np.array([(x, -0.6), (x, 0.6)]) for x in across]
    return Outline(tuple(loops), rng.uniform(0.05, 0.12))


def _grid(rng: np.random.Generator) -> Outline:
    """Bars across bars."""
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
SOLID = tuple(name for name in OUTLINES if name not in (*STRANDS, "ring", "crescent"))  # those that can hold a core
