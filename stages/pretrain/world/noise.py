"""Smooth random fields, from which grounds, textures and light are made."""

import cv2
import numpy as np


def smooth(rng: np.random.Generator, height: int, width: int, grain: float) -> np.ndarray:
    """A field (height, width) float32, about uniform in [0, 1] and smooth over `grain` pixels."""
    rows, columns = int(height / grain) + 4, int(width / grain) + 4
    coarse = rng.random((rows, columns), np.float32)
    # The grid begins at a place of its own, so that no grain is bound to the rim.
    left, top = rng.random(2) * grain + grain
    matrix = np.array([[1 / grain, 0, left / grain], [0, 1 / grain, top / grain]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def cloudy(rng: np.random.Generator, height: int, width: int, grain: float, octaves: int = 3) -> np.ndarray:
    """Fields of half the grain each on top of one another, (height, width) float32 in [0, 1], mean about 0.5."""
    total = sum(smooth(rng, height, width, max(grain / 2**octave, 1.5)) / 2**octave for octave in range(octaves))
    return np.clip(total / (2 - 2.0 ** (1 - octaves)), 0, 1)
