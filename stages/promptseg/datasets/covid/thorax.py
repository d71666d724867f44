"""Drawing in the coordinates of a thorax: outlines, strokes, soft edges, noise."""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 256  # pixels, as in COVID-QU-Ex


@dataclass(frozen=True)
class Frame:
    """Position of a thorax in the image: pixels = center + turn @ (half width * x, height * y)."""

    center: np.ndarray
    size: np.ndarray
    turn: np.ndarray

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Convert (n, 2) points from thorax units to pixels."""
        return self.center + (points * self.size) @ self.turn.T

    def units(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute x and y in thorax units at every pixel, each (SIDE, SIDE) float32."""
        across, down = (np.arange(SIDE) - self.center[0])[None], (np.arange(SIDE) - self.center[1])[:, None]
        # Written out, since a matrix product of this size may round differently with another number of threads.
        x = (across * self.turn[0, 0] + down * self.turn[1, 0]) / self.size[0]
        y = (across * self.turn[0, 1] + down * self.turn[1, 1]) / self.size[1]
        return x.astype(np.float32), y.astype(np.float32)


def smooth(points, closed: bool = True) -> np.ndarray:
    """Smooth a polyline by cutting its corners three times (Chaikin 1974)."""
    points = np.asarray(points, float)
    for _ in range(3):
        ahead = np.roll(points, -1, axis=0) if closed else points[1:]
        here = points if closed else points[:-1]
        points = np.stack([0.75 * here + 0.25 * ahead, 0.25 * here + 0.75 * ahead], axis=1).reshape(-1, 2)
    return points


def fill(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Rasterize the inside of an outline in thorax units: (SIDE, SIDE) uint8, 0 and 255."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(frame.pixels(points) * 16).astype(np.int32)], 255, shift=4)
    return mask


def stroke(canvas: np.ndarray, frame: Frame, points: np.ndarray, width: float, value: int = 255) -> None:
    """Draw a line through points in thorax units, `width` pixels wide, onto a (SIDE, SIDE) uint8 canvas."""
    line = [np.round(frame.pixels(points) * 16).astype(np.int32)]
    cv2.polylines(canvas, line, False, value, max(1, round(width)), cv2.LINE_AA, shift=4)


def soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a mask of 0 to 255 and scale it to [0, 1]."""
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma)


def depth(mask: np.ndarray, scale: float) -> np.ndarray:
    """Compute the thickness of a rounded body in projection: 0 at its edge, approaching 1 over `scale` pixels."""
    return 1 - np.exp(-cv2.distanceTransform(mask, cv2.DIST_L2, 5) / scale)


def noise(rng, sigma: float) -> np.ndarray:
    """Sample smooth noise of unit standard deviation, (SIDE, SIDE)."""
    small = max(1, int(sigma // 3))  # wide noise is sampled at a low resolution and enlarged
    side = SIDE // small
    field = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), sigma / small)
    return cv2.resize((field - field.mean()) / field.std(), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def step(values: np.ndarray) -> np.ndarray:
    """Apply the logistic function."""
    return 0.5 + 0.5 * np.tanh(0.5 * values)
