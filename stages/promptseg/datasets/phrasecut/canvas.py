"""A canvas with patterns, shading, and an id for every visible pixel.

Colors are RGB, float32, 1 is white. x runs to the right and y downward, in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_LIGHT = np.array((-0.55, -0.83), np.float32)  # where it comes from: above, a little from the left


@dataclass(frozen=True)
class Paint:
    """How a surface looks.

    pattern: `plain`, `striped`, `checked`, `dotted`, `wooden`, `brick`, `rough` (grain without direction); other: the
    pattern's second color; step: pixels from one stripe (brick, dot) to the next; angle: of stripes, in radians;
    round: 0 flat to 1 like a ball; grain: how much the color wanders.
    """

    color: tuple[float, float, float]
    pattern: str = "plain"
    other: tuple[float, float, float] = (0.9, 0.9, 0.88)
    step: float = 8.0
    angle: float = 0.0
    round: float = 0.3
    grain: float = 0.12


class Canvas:
    """color: (h, w, 3); ids: (h, w) int32, the id of the visible part in each pixel, 0 without one."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.height, self.width = rng, height, width
        self.color = np.zeros((height, width, 3), np.float32)
        self.ids = np.zeros((height, width), np.int32)
        self._fine = noise(rng, 2 * height, 2 * width, 5.0, 3)
        self._coarse = noise(rng, 2 * height, 2 * width, 60.0, 4)

    def fill(self, outline: np.ndarray, paint: Paint, id: int) -> None:
        """Paint the inside of a closed outline (n, 2) and mark it with the id."""
        box = self._box(outline, 2)
        if box is None:
            return
        top, left, h, w = box
        alpha = np.zeros((h, w), np.uint8)
        at = np.round((np.asarray(outline) - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(alpha, [at], 255, cv2.LINE_AA, 4)
        surface = self._surface(paint, top, left, h, w) * self._shade(paint, alpha)[..., None]
        view = self.color[top : top + h, left : left + w]
        view += (surface - view) * (alpha[..., None] / np.float32(255))
        self.ids[top : top + h, left : left + w][alpha > 127] = id

    def shadow(self, outline: np.ndarray, strength: float, soft: float) -> None:
        """Darken softly inside an outline; the ids do not change."""
        box = self._box(outline, 3 * soft)
        if box is None:
            return
        top, left, h, w = box
        alpha = np.zeros((h, w), np.float32)
        cv2.fillPoly(alpha, [np.round(np.asarray(outline) - (left, top)).astype(np.int32)], 1.0)
        alpha = cv2.GaussianBlur(alpha, (0, 0), soft)
        self.color[top : top + h, left : left + w] *= 1 - strength * alpha[..., None]

    def photograph(self) -> np.ndarray:
        """Simulate a camera: (h, w, 3) uint8 with blur, tint, vignetting and noise."""
        rng = self.rng
        far = np.hypot(*np.mgrid[-1 : 1 : self.height * 1j, -1 : 1 : self.width * 1j]).astype(np.float32)
        seen = cv2.GaussianBlur(self.color, (0, 0), 0.55)
        seen = seen * (1.04 - 0.13 * far**2)[..., None] * (rng.uniform(0.85, 1.1) + rng.normal(0, 0.03, 3))
        seen = seen + rng.normal(0, rng.uniform(0.006, 0.02), (self.height, self.width, 1))
        return (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _box(self, outline, margin: float) -> tuple[int, int, int, int] | None:
        """top, left, height, width of what the outline touches; None if that is nothing."""
        low, high = np.min(outline, axis=0) - margin, np.max(outline, axis=0) + margin
        left, top = np.clip(np.floor(low), 0, (self.width, self.height)).astype(int)
        right, bottom = np.clip(np.ceil(high), 0, (self.width, self.height)).astype(int)
        return (top, left, bottom - top, right - left) if right > left and bottom > top else None

    def _surface(self, paint: Paint, top: int, left: int, h: int, w: int) -> np.ndarray:
        """(h, w, 3): color and pattern before the light falls on it."""
        y, x = np.mgrid[top : top + h, left : left + w].astype(np.float32)
        row, column = self.rng.integers(self.height), self.rng.integers(self.width)
        fine, coarse = (part[row : row + h, column : column + w] for part in (self._fine, self._coarse))
        u, v = x * np.cos(paint.angle) + y * np.sin(paint.angle), y * np.cos(paint.angle) - x * np.sin(paint.angle)
        mix = np.zeros((h, w), np.float32)  # how much of the other color
        if paint.pattern == "striped":
            mix = np.float32((v + 3 * coarse) % paint.step < 0.45 * paint.step)
        elif paint.pattern == "checked":
            mix = 0.5 * np.float32(u % paint.step < paint.step / 2) + 0.5 * np.float32(v % paint.step < paint.step / 2)
        elif paint.pattern == "dotted":
            shift = np.floor(v / paint.step) % 2 * paint.step / 2
            mix = np.hypot((u + shift) % paint.step - paint.step / 2, v % paint.step - paint.step / 2)
            mix = np.float32(mix < 0.3 * paint.step)
        elif paint.pattern == "wooden":
            boards = np.floor(v / paint.step)
            mix = 0.5 + 0.5 * np.sin(0.9 * v + 14 * coarse + 5 * boards)
            mix = 0.45 * mix + 0.3 * (np.sin(boards * 12.9) * 0.5 + 0.5) + 0.6 * (v % paint.step < 1.3)
        elif paint.pattern == "brick":
            shift = np.floor(v / paint.step) % 2 * paint.step
            mix = np.maximum(v % paint.step < 0.16 * paint.step, (u + shift) % (2 * paint.step) < 0.16 * paint.step)
            mix = np.float32(mix)
        elif paint.pattern == "rough":
            mix = np.clip(2.4 * fine + 1.2 * coarse - 1.3, 0, 1)
        base, other = np.array(paint.color, np.float32), np.array(paint.other, np.float32)
        grain = 1 + paint.grain * (1.6 * (coarse - 0.5) + 1.2 * (fine - 0.5))
        return (base + (other - base) * mix[..., None]) * grain[..., None]

    @staticmethod
    def _shade(paint: Paint, alpha: np.ndarray) -> np.ndarray:
        """(h, w): how much light comes back, from the outline alone, as if the inside bulged."""
        if not paint.round:
            return np.ones(alpha.shape, np.float32)
        depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3)
        depth /= max(float(depth.max()), 1.0)
        bulge = np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1))
        bulge = cv2.GaussianBlur(bulge, (0, 0), max(1.0, 0.04 * max(alpha.shape)))
        slope = np.stack([cv2.Sobel(bulge, cv2.CV_32F, 1, 0), cv2.Sobel(bulge, cv2.CV_32F, 0, 1)], -1) @ _LIGHT
        slope *= 0.06 * min(alpha.shape)
        return 1 - paint.round * (0.4 * (1 - bulge) + 0.55 * np.clip(slope, -1, 1) - 0.08)


def noise(rng: np.random.Generator, h: int, w: int, scale: float, octaves: int) -> np.ndarray:
    """Generate smooth noise, (h, w) float32 in [0, 1], mean about 0.5; scale: pixels across its largest grain."""
    total = np.zeros((h, w), np.float32)
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        grid = rng.random((int(h / step) + 3, int(w / step) + 3), np.float32)
        total += 0.55**octave * cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.5 + 0.2 * (total - total.mean()) / (total.std() + 1e-6), 0, 1)


def smooth(points) -> np.ndarray:
    """Round a closed outline by cutting its corners three times (Chaikin)."""
    points = np.asarray(points, np.float32)
    for _ in range(3):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], 1).reshape(-1, 2)
    return points


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0, turn: tuple = (0.0, 2 * np.pi)) -> np.ndarray:
    """Return the outline of an ellipse, or of a sector between two angles."""
    t = np.linspace(*turn, 48, endpoint=False)
    u, v = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + u * np.cos(angle) - v * np.sin(angle), y + u * np.sin(angle) + v * np.cos(angle)], 1)


def blob(rng: np.random.Generator, x: float, y: float, rx: float, ry: float, rough: float) -> np.ndarray:
    """Return an irregular ellipse: tree crowns, bushes, clouds."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = sum(rng.normal(0, 1 / n) * np.sin(n * t + rng.uniform(0, 6.3)) for n in (2, 3, 5, 8, 13, 21))
    r = 1 + rough * waves
    return np.stack([x + rx * r * np.cos(t), y + ry * r * np.sin(t)], 1)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
