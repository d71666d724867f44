"""Shapes with relief and grain, and a canvas that holds colors and labels."""

from dataclasses import dataclass, field

import cv2
import numpy as np

Color = tuple[float, float, float]  # RGB, 1 is white


def noise(rng: np.random.Generator, h: int, w: int, scale: float, octaves: int = 3, flat: float = 1.0) -> np.ndarray:
    """Generate smooth noise, (h, w) float32 in [0, 1]; scale: pixels per largest grain, flat: width / height of it."""
    total, weight = np.zeros((h, w), np.float32), 1.0
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        grid = rng.random((int(h * flat / step) + 2, int(w / step) + 2), np.float32)
        total += weight * cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
    mean, spread = cv2.meanStdDev(total)
    return np.clip(0.5 + 0.22 * (total - mean[0, 0]) / (spread[0, 0] + 1e-6), 0, 1).astype(np.float32)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smoothstep: 0 up to `low`, 1 from `high` on, smooth in between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def mix(first: Color, second: Color, share: np.ndarray) -> np.ndarray:
    """Blend two colors by share (h, w) in [0, 1] to (h, w, 3)."""
    first, second = np.array(first, np.float32), np.array(second, np.float32)
    return first + (second - first) * share[..., None]


def tone(color: Color, factor: float) -> Color:
    """Scale the brightness of a color."""
    return tuple(float(min(max(c * factor, 0), 1)) for c in color)


def rounded(points, steps: int = 6) -> np.ndarray:
    """Interpolate a closed curve through the points (n, 2) by Catmull-Rom splines."""
    p = np.asarray(points, np.float32)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None, None]
    curve = 2 * p + (after - before) * t + (2 * before - 5 * p + 4 * after - beyond) * t**2
    curve = curve + (3 * p - before - 3 * after + beyond) * t**3
    return (curve / 2).transpose(1, 0, 2).reshape(-1, 2)


@dataclass
class Part:
    """Polygons of one color. relief: how round it looks; grain: how rough; within: clipped to the previous parts."""

    polygons: list[np.ndarray]
    color: Color
    relief: float = 0.45
    grain: float = 0.15
    within: bool = False


@dataclass
class Sketch:
    """An object of parts, painted in order; x to the right, y upward from its foot, in units of its size."""

    parts: list[Part] = field(default_factory=list)

    def poly(self, points, color: Color, curved: bool = False, **how) -> None:
        """Add a polygon, with rounded corners if it is curved."""
        self.parts.append(Part([rounded(points) if curved else np.asarray(points, np.float32)], color, **how))

    def box(self, left: float, bottom: float, right: float, top: float, color: Color, **how) -> None:
        """Add a rectangle."""
        self.poly([(left, bottom), (right, bottom), (right, top), (left, top)], color, **how)

    def disc(self, x: float, y: float, rx: float, ry: float, color: Color, angle: float = 0.0, **how) -> None:
        """Add an ellipse."""
        self.poly(_ellipse(x, y, rx, ry, angle), color, **how)

    def discs(self, places, radius: float, color: Color, **how) -> None:
        """Add many equal circles as one part."""
        self.parts.append(Part([_ellipse(x, y, radius, radius, 0) for x, y in places], color, **how))

    def limb(self, points, widths, color: Color, **how) -> None:
        """Add a curved, tapering stroke; widths: one for each point, or one for all."""
        points = np.asarray(points, np.float32)
        halves = np.broadcast_to(np.asarray(widths, np.float32) / 2, len(points))
        shapes = [_ellipse(x, y, r, r, 0) for (x, y), r in zip(points, halves)]
        for a, b, ra, rb in zip(points, points[1:], halves, halves[1:]):
            along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
            side = np.array([-along[1], along[0]], np.float32)
            shapes.append(np.array([a + side * ra, b + side * rb, b - side * rb, a - side * ra], np.float32))
        self.parts.append(Part(shapes, color, **how))


class Canvas:
    """`colors` (h, w, 3) float32 RGB, 1 is white, and `labels` (h, w) uint8; both are painted from back to front."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.height, self.width = rng, height, width
        self.colors = np.zeros((height, width, 3), np.float32)
        self.labels = np.zeros((height, width), np.uint8)
        self.light = np.ones(3, np.float32)  # color and strength of the daylight
        self.slant = rng.uniform(-0.6, 0.6)  # the side that the light comes from
        self.texture = noise(rng, height + 64, width + 64, 9.0, 3)
        self.y, self.x = np.mgrid[:height, :width].astype(np.float32)

    def lay(self, where: np.ndarray, colors: np.ndarray) -> None:
        """Cover (h, w) in [0, 1] or bool with colors (h, w, 3) or (3,)."""
        self.colors += (colors * self.light - self.colors) * where[..., None].astype(np.float32)

    def shadow(self, x: float, y: float, rx: float, ry: float, strength: float = 0.45) -> None:
        """Darken the ground below an object; x, y in pixels."""
        far = np.hypot((self.x - x) / max(rx, 1), (self.y - y) / max(ry, 1))
        self.colors *= (1 - strength * (1 - ramp(far, 0.55, 1.25)))[..., None]

    def draw(
        self, sketch: Sketch, x: float, y: float, size: float, label: int | None = 0, flip: bool = False,
        tilt: float = 0.0,
    ) -> None:  # fmt: skip
        """Draw with the foot at pixel (x, y), `size` pixels a unit. label None keeps the labels (thin objects)."""
        sin, cos = np.sin(tilt), np.cos(tilt)
        side = -1 if flip else 1
        turn = np.array([[side * cos, -sin], [side * sin, cos]], np.float32).T * (size, -size)
        mine = np.zeros((self.height, self.width), bool)
        for part in sketch.parts:
            polygons = [points @ turn + (x, y) for points in part.polygons]
            corners = np.concatenate(polygons)
            extent = np.ptp(corners, axis=0)
            low = np.maximum(np.floor(corners.min(0)).astype(int) - 3, 0)
            high = np.minimum(np.ceil(corners.max(0)).astype(int) + 4, (self.width, self.height))
            if (high - low < 1).any():
                continue
            patch = np.s_[low[1] : high[1], low[0] : high[0]]
            cover = np.zeros((high - low)[::-1], np.uint8)
            for points in polygons:
                cv2.fillPoly(cover, [np.round((points - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            if part.within:
                cover *= mine[patch]
            alpha = cover.astype(np.float32) / 255
            color = np.array(part.color, np.float32) * self.light * self._shade(part, alpha, extent)[..., None]
            self.colors[patch] += (color - self.colors[patch]) * alpha[..., None]
            mine[patch] |= cover > 127
        if label is not None:
            self.labels[mine] = label

    def _shade(self, part: Part, alpha: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """(h, w) about 1: lit from above, darker at the rim, rough."""
        light = np.ones_like(alpha)
        if part.relief:
            width = int(np.clip(0.22 * extent.min(), 1, 24)) * 2 + 1
            soft = cv2.blur(cv2.blur(alpha, (width, width)), (width, width))
            dy, dx = cv2.Sobel(soft, -1, 0, 1, scale=width / 14), cv2.Sobel(soft, -1, 1, 0, scale=width / 14)
            light += part.relief * (dy + self.slant * dx + 0.35 * (soft - 0.8))
        if part.grain:
            h, w = alpha.shape
            top, left = (int(self.rng.integers(0, limit - n + 1)) for n, limit in zip((h, w), self.texture.shape))
            light *= 1 + part.grain * 1.6 * (self.texture[top : top + h, left : left + w] - 0.5)
        return light


def _ellipse(x: float, y: float, rx: float, ry: float, angle: float) -> np.ndarray:
    at = np.linspace(0, 2 * np.pi, 21, dtype=np.float32)[:-1]
    a, b = rx * np.cos(at), ry * np.sin(at)
    return np.stack([x + a * np.cos(angle) - b * np.sin(angle), y + a * np.sin(angle) + b * np.cos(angle)], 1)
