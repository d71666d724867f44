"""Pinhole camera of a car on a flat street, and polygons in metres that are projected and filled.

Coordinates are metres: x to the right, y up from the ground, z ahead; the camera is at x = 0, z = 0. Painting goes from
far to near. Labels are the official Cityscapes ids.
"""

import math

import cv2
import numpy as np

WIDTH, HEIGHT = 512, 256  # the official 2048x1024, by four
FOCAL = 1.1 * WIDTH  # that of the official camera
EYE = 1.35  # metres over the ground
NEAR = 1.2  # metres; closer points are moved back to it

VOID, EGO, BORDER, STATIC = 0, 1, 3, 4
ROAD, SIDEWALK, PARKING, RAILS, BUILDING, WALL, FENCE = 7, 8, 9, 10, 11, 12, 13
POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY = 17, 19, 20, 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS, BICYCLE = 24, 25, 26, 27, 28, 33

_EYE, _DOWN = np.array((0, EYE), np.float32), np.array((1, -1), np.float32)


class View:
    """Image (256, 512, 3) uint8 RGB and labels (256, 512) uint8 that are drawn into.

    Args:
        center: column of the vanishing point.
        horizon: row of the vanishing point.
        veil: color of the haze.
        clear: metres after which a third of an object's color remains.
        sunlight: 0 on an overcast day to 1.
        side: side of the sun, -1 left, 1 right.
    """

    def __init__(self, center: float, horizon: float, veil: np.ndarray, clear: float, sunlight: float, side: int):
        self.center, self.horizon, self.veil, self.clear = center, horizon, np.asarray(veil, np.float32), clear
        self._veil, self._middle = self.veil.tolist(), np.array((center, horizon), np.float32)
        self.sunlight, self.side = sunlight, side
        self.image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self.labels = np.full((HEIGHT, WIDTH), VOID, np.uint8)

    def project(self, points) -> np.ndarray:
        """Project (n, 3) points in metres to (n, 2) pixels x, y."""
        points = np.asarray(points, np.float32)
        scale = FOCAL / np.maximum(points[:, 2:], NEAR)
        return (points[:, :2] - _EYE) * scale * _DOWN + self._middle

    def haze(self, color, z) -> np.ndarray:
        """Add haze to a color (..., 3) in [0, 255] at a distance of z metres, a number or (...)."""
        left = np.exp(-np.asarray(z, np.float32) / self.clear)[..., None]
        return self.veil + (np.asarray(color, np.float32) - self.veil) * left

    def paint(self, points, color, label: int | None = None, hull: bool = False) -> None:
        """Fill a polygon (n, 3) in metres, or the hull of these points.

        Without a color only the labels change, without a label only the image.
        """
        points = np.asarray(points, np.float32)
        at = np.clip(self.project(points), -2000, 2000)
        at = cv2.convexHull(at)[:, 0] if hull else at
        at = np.rint(at * 16 - 8).astype(np.int32)
        if color is not None:
            left = math.exp(-max(float(points[:, 2].min()), 0) / self.clear)
            hazy = [min(max(v + (float(c) - v) * left, 0.0), 255.0) for v, c in zip(self._veil, color)]
            cv2.fillPoly(self.image, [at], hazy, cv2.LINE_AA, 4)
        if label is not None:
            cv2.fillPoly(self.labels, [at], label, cv2.LINE_8, 4)

    def upright(self, x: float, z: float, points, color, label: int | None = None) -> None:
        """Fill a polygon (n, 2) of metres right and up, whose foot is at (x, z), facing the camera."""
        placed = np.empty((len(points), 3), np.float32)
        placed[:, :2], placed[:, 2] = points, z
        placed[:, 0] += x
        self.paint(placed, color, label)

    def limb(self, x: float, z: float, start, end, widths, color, label: int | None = None) -> None:
        """Fill a straight limb from start to end, (2,) metres right and up, with the width of each end."""
        (x0, y0), (x1, y1) = start, end
        length = max(math.hypot(x1 - x0, y1 - y0), 1e-6)
        across, up = (y0 - y1) / length / 2, (x1 - x0) / length / 2
        a, b = widths
        corners = [(x0 - across * a, y0 - up * a), (x0 + across * a, y0 + up * a),
                   (x1 + across * b, y1 + up * b), (x1 - across * b, y1 - up * b)]  # fmt: skip
        self.upright(x, z, corners, color, label)

    def disc(self, x: float, z: float, place, radius: float, color, label: int | None = None, sides: int = 14) -> None:
        """Fill a disc that faces the camera; place (2,): metres right and up from its foot (x, z)."""
        self.upright(x, z, np.asarray(place) + radius * circle(sides), color, label)

    def shadow(self, points, strength: float, soft: float = 1.5) -> None:
        """Darken the ground below a polygon (n, 3); strength in [0, 1], soft: pixels over which it fades."""
        at = np.round(np.clip(self.project(points), -500, 1000)).astype(np.int32)
        margin = int(3 * soft) + 1
        left, top = np.maximum(at.min(0) - margin, 0)
        right, bottom = np.minimum(at.max(0) + margin + 1, (WIDTH, HEIGHT))
        if right - left < 2 or bottom - top < 2:
            return
        share = np.zeros((bottom - top, right - left), np.float32)
        cv2.fillPoly(share, [at - (left, top)], strength)
        part = self.image[top:bottom, left:right]
        part[:] = (part * (1 - cv2.GaussianBlur(share, (0, 0), soft))[..., None]).astype(np.uint8)


def circle(sides: int) -> np.ndarray:
    """Compute (sides, 2) points on the unit circle."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def noise(rng: np.random.Generator, h: int, w: int, grain: float, octaves: int = 3) -> np.ndarray:
    """Sample smooth noise (h, w) float32, mean 0 and standard deviation 1; grain: pixels across its largest blob."""
    total = np.zeros((h, w), np.float32)
    for octave in range(octaves):
        step = max(grain / 2**octave, 1.0)
        grid = rng.standard_normal((int(h / step) + 2, int(w / step) + 2), np.float32)
        total += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return (total - total.mean()) / (total.std() + 1e-6)
