"""Textures: how much of a second color lies over the first, (h, w) float32 in [0, 1]."""

import cv2
import numpy as np

from world import noise

NAMES = ("plain", "striped", "dotted", "checkered", "grainy", "cloudy", "veined")


def texture(rng: np.random.Generator, name: str, height: int, width: int, period: float) -> np.ndarray:
    """A texture that repeats, or whose grain is, `period` pixels wide."""
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
    return _regular(rng, name, height, width, period)


def _regular(rng: np.random.Generator, name: str, height: int, width: int, period: float) -> np.ndarray:
    """Waves along one or two directions at right angles, bent a little now and then."""
    angle, (here, there) = rng.uniform(0, np.pi), rng.random(2)
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(period)
    if rng.random() < 0.3:
        x = x + noise.smooth(rng, height, width, 4 * period)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + np.float32(here)
    if name == "striped":
        return np.clip(np.sin(2 * np.pi * along) * period / 2 + 0.5, 0, 1)
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle)) + np.float32(there)
    if name == "checkered":
        return ((np.floor(2 * along) + np.floor(2 * across)) % 2).astype(np.float32)
    away = np.hypot(along % 1 - 0.5, across % 1 - 0.5)
    return np.clip((0.3 - away) * period + 0.5, 0, 1)
