"""Smooth random fields for surfaces, clouds, ridges and illumination."""

import cv2
import numpy as np


def smooth(rng: np.random.Generator, height: int, width: int, grain: float) -> np.ndarray:
    """Sample a smooth field.

    Args:
        rng: random generator.
        height: of the field, pixels.
        width: of the field, pixels.
        grain: correlation length, pixels.

    Returns:
        (height, width) float32, about uniform in [0, 1].
    """
    rows, columns = int(height / grain) + 4, int(width / grain) + 4
    coarse = rng.random((rows, columns), np.float32)
    # A random offset of the grid, so that no grain is aligned with the border.
    left, top = rng.random(2) * grain + grain
    matrix = np.array([[1 / grain, 0, left / grain], [0, 1 / grain, top / grain]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def cloudy(rng: np.random.Generator, height: int, width: int, grain: float, octaves: int = 3) -> np.ndarray:
    """Sum smooth fields, each with half the grain and half the weight of the one before.

    Returns:
        (height, width) float32 in [0, 1], mean about 0.5.
    """
    total = sum(smooth(rng, height, width, max(grain / 2**octave, 1.5)) / 2**octave for octave in range(octaves))
    return np.clip(total / (2 - 2.0 ** (1 - octaves)), 0, 1)


def noise(rng: np.random.Generator, h: int, w: int, grain: float, octaves: int, stretch: float = 1.0) -> np.ndarray:
    """Sum smooth fields, and standardize them: (h, w) float32 over all of [0, 1], mean 0.5, deviation about 0.22.

    Args:
        rng: random generator.
        h: height, pixels.
        w: width, pixels.
        grain: of the largest field, pixels; halved in each octave.
        octaves: number of fields.
        stretch: how much taller a grain is than wide.
    """
    rows = max(round(h / stretch), 2)
    total = sum(0.55**octave * smooth(rng, rows, w, max(grain / 2**octave, 1.0)) for octave in range(octaves))
    field = cv2.resize(total, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.5 + 0.22 * (field - field.mean()) / (field.std() + 1e-6), 0, 1)


def ridge(rng: np.random.Generator, w: int, amplitude: float, grain: float = 0.3) -> np.ndarray:
    """Sample noise along a line, (w,) float32, mostly within +-amplitude; grain: as a share of w."""
    return (noise(rng, 3, w, grain * w, 4)[1] - 0.5) * (2 * amplitude)


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smoothstep: 0 up to `low`, 1 from `high` on, smooth in between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
