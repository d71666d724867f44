"""Outlines of the shapes that objects have."""

from collections.abc import Callable

import numpy as np
from promptseg.synthetic.outlines import Outline, arc, rotation

Rng = np.random.Generator
TURN = 2 * np.pi
CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


def polar(angle: np.ndarray, distance: np.ndarray | float = 1.0) -> np.ndarray:
    """Points (n, 2) by their angle, (n,) in radians, and distance, (n,)."""
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _star(rng: Rng) -> Outline:
    corners = np.arange(2 * rng.integers(5, 9))
    return Outline((polar(corners * np.pi / (len(corners) // 2), np.where(corners % 2, rng.uniform(0.3, 0.5), 1.0)),))


def _ring(rng: Rng) -> Outline:
    squeeze = (1, rng.choice([1.0, rng.uniform(0.55, 1.0)]))
    return Outline((arc(0, TURN) * squeeze, arc(0, TURN, rng.uniform(0.45, 0.82)) * squeeze))


def _crescent(rng: Rng) -> Outline:
    half, middle = rng.uniform(0.7, 1.2), rng.uniform(0.45, 0.8)  # half of the angle between the two tips
    inner = np.hypot(np.cos(half) - middle, np.sin(half))
    tip = np.arctan2(np.sin(half), np.cos(half) - middle)
    return Outline((np.concatenate([arc(half, TURN - half), arc(-tip, tip - TURN, inner, middle)]),))


def _cross(rng: Rng) -> Outline:
    w = rng.uniform(0.16, 0.4)
    quarter = np.array([(w, w), (w, 1), (-w, 1)])
    return Outline((np.concatenate([quarter @ rotation(side * np.pi / 2).T for side in range(4)]),))


def _blob(rng: Rng) -> Outline:
    angle, frequencies = np.linspace(0, TURN, 72, endpoint=False), np.arange(2, 7)
    amplitudes = rng.normal(0, 0.32, 5) / frequencies ** rng.uniform(0.4, 1.1)
    distance = 1 + amplitudes @ np.cos(frequencies[:, None] * angle + rng.uniform(0, TURN, (5, 1)))
    return Outline((polar(angle, np.clip(distance / distance.max(), 0.15, 1)),))


def _curve(rng: Rng) -> Outline:
    """A path whose direction changes by at least a quarter of a turn from end to end."""
    bend = rng.choice([-1, 1]) * rng.uniform(1.6, 5.0)
    steps = np.linspace(-0.5, 0.5, 40)
    direction = bend * steps + rng.uniform(0, 1.2) * np.sin(steps * rng.uniform(4, 12) + rng.uniform(0, 6))
    points = np.cumsum(polar(direction), axis=0)
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    return Outline((points / np.abs(points).max(),), rng.uniform(0.03, 0.22))


def _branch(rng: Rng) -> Outline:
    """A bent stem with twigs on it."""
    points = _curve(rng).loops[0][::3] * (1, 0.6)
    loops = [points]
    for _ in range(rng.integers(2, 7)):
        start = points[rng.integers(1, len(points))]
        angle = rng.uniform(0, TURN) + np.cumsum(rng.normal(0, 0.35, 6))
        twig = start + rng.uniform(0.06, 0.14) * np.cumsum(polar(angle), axis=0)
        loops.append(np.concatenate([start[None], twig]))
    return Outline(tuple(loops), rng.uniform(0.025, 0.07))


def _comb(rng: Rng) -> Outline:
    """Parallel bars on a crossbar."""
    across = np.linspace(-1, 1, rng.integers(4, 9))
    loops = [np.array([(-1.0, -0.6), (1.0, -0.6)])] + [np.array([(x, -0.6), (x, 0.6)]) for x in across]
    return Outline(tuple(loops), rng.uniform(0.05, 0.12))


def _grid(rng: Rng) -> Outline:
    """Two sets of crossing bars."""
    along, across = np.linspace(-0.8, 0.8, rng.integers(3, 6)), np.linspace(-0.8, 0.8, rng.integers(3, 6))
    loops = [np.array([(-0.9, y), (0.9, y)]) for y in along] + [np.array([(x, -0.9), (x, 0.9)]) for x in across]
    return Outline(tuple(loops), rng.uniform(0.04, 0.09))


OUTLINES: dict[str, Callable[[Rng], Outline]] = {
    "circle": lambda rng: Outline((arc(0, TURN),)),
    "oval": lambda rng: Outline((arc(0, TURN) * (1, rng.uniform(0.35, 0.65)),)),
    "square": lambda rng: Outline((0.8 * CORNERS,)),
    "rectangle": lambda rng: Outline((CORNERS * (0.95, rng.uniform(0.25, 0.58)),)),
    "triangle": lambda rng: Outline((polar(np.array([0, 2.1, 4.2]) + rng.uniform(-0.35, 0.35, 3)),)),
    "star": _star, "ring": _ring, "crescent": _crescent, "cross": _cross, "blob": _blob,
    "line": lambda rng: Outline((np.array([(-1.0, 0.0), (1.0, 0.0)]),), rng.uniform(0.03, 0.22)),
    "curve": _curve, "branch": _branch, "comb": _comb, "grid": _grid,
}  # fmt: skip
STRANDS = ("line", "curve", "branch", "comb", "grid")
ROUND = ("circle", "oval", "blob")
SOLID = tuple(name for name in OUTLINES if name not in (*STRANDS, "ring", "crescent"))  # with room for a core
