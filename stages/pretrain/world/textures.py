"""Textures: coverage of a surface by its second color."""

import cv2
import numpy as np

from world import noise

NAMES = ("plain", "striped", "dotted", "checkered", "grainy", "cloudy", "veined")


def render_texture(rng: np.random.Generator, name: str, height: int, width: int, period: float) -> np.ndarray:
    """Render a texture.

    Args:
        rng: random generator.
        name: of NAMES.
        height: of the surface, pixels.
        width: of the surface, pixels.
        period: of the pattern, or its grain, pixels.

    Returns:
        Coverage, (height, width) float32 in [0, 1].
    """
    if name == "plain":
        return np.zeros((height, width), np.float32)
    if name == "grainy":
        small = rng.random((height // 2 + 1, width // 2 + 1), np.float32)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if name == "cloudy":
        return np.clip(1.6 * noise.cloudy(rng, height, width, 2 * period) - 0.3, 0, 1)
    if name == "veined":
        field = noise.cloudy(rng, height, width, 2.5 * period, 2)
        return np.clip(1.5 - np.abs(field - 0.5) * period * rng.uniform(1.5, 3), 0, 1)
    return _periodic(rng, name, height, width, period)


def _periodic(rng: np.random.Generator, name: str, height: int, width: int, period: float) -> np.ndarray:
    """Periodic along one or two orthogonal directions, sometimes warped a little."""
    angle, (phase, other_phase) = rng.uniform(0, np.pi), rng.random(2)
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(period)
    if rng.random() < 0.3:
        x = x + noise.smooth(rng, height, width, 4 * period)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + np.float32(phase)
    if name == "striped":
        return np.clip(np.sin(2 * np.pi * along) * period / 2 + 0.5, 0, 1)
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle)) + np.float32(other_phase)
    if name == "checkered":
        return ((np.floor(2 * along) + np.floor(2 * across)) % 2).astype(np.float32)
    distance = np.hypot(along % 1 - 0.5, across % 1 - 0.5)
    return np.clip((0.3 - distance) * period + 0.5, 0, 1)
