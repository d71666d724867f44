"""Smooth random fields for backgrounds, textures and illumination."""

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
