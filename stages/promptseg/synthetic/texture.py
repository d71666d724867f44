"""Noise, smooth steps and antialiased polygons."""

import cv2
import numpy as np


def noise(rng: np.random.Generator, h: int, w: int, scale: float, octaves: int, stretch: float = 1.0) -> np.ndarray:
    """Generate smooth noise, (h, w) float32 over all of [0, 1], mean about 0.5.

    scale: pixels across its largest grain, halved in each octave; stretch: how much taller a grain is than wide.
    """
    total, weight = np.zeros((h, w), np.float32), 1.0
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        rows, columns = int(h / (step * stretch)) + 3, int(w / step) + 3
        grid = cv2.resize(
            rng.random((rows, columns), np.float32),
            (max(w, round(columns * step)), max(h, round(rows * step * stretch))),
            interpolation=cv2.INTER_CUBIC,
        )
        total += weight * grid[:h, :w]
        weight *= 0.55
    mean, spread = float(total.mean()), float(total.std()) + 1e-6
    return np.clip(0.5 + 0.22 * (total - mean) / spread, 0, 1)


def ridge(rng: np.random.Generator, w: int, amplitude: float, scale: float = 0.3) -> np.ndarray:
    """Generate noise along a line, (w,) float32, mostly within +-amplitude; scale: share of w across a grain."""
    return (noise(rng, 3, w, scale * w, 4)[1] - 0.5) * (2 * amplitude)


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smoothstep: 0 up to `low`, 1 from `high` on, smooth in between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Apply a Gaussian blur to (h, w), at a quarter of the size where sigma is large."""
    h, w = values.shape
    if sigma < 8:
        return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.1))
    small = cv2.resize(values, (max(w // 4, 1), max(h // 4, 1)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (w, h), interpolation=cv2.INTER_LINEAR)


def polygon(canvas: np.ndarray, points: np.ndarray, color) -> None:
    """Fill a polygon (n, 2) of x, y with smooth edges; canvas: (h, w, 3) uint8, color: RGB in [0, 1]."""
    at = np.round(np.asarray(points) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [at], [min(255.0, float(c) * 255) for c in color], cv2.LINE_AA, 4)
