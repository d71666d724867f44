"""Random colors of objects and materials, RGB in [0, 1]."""

import colorsys

import numpy as np


def paint_color(rng: np.random.Generator, strong: float = 0.75) -> tuple[float, float, float]:
    """Sample the color of a painted object: any hue; strong: upper limit of the saturation."""
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.25, 1) * strong, rng.uniform(0.35, 0.95))


def shade(color, by: float) -> tuple[float, float, float]:
    """Multiply a color by a factor, clipped to [0, 1]."""
    return tuple(float(np.clip(c * by, 0, 1)) for c in color)


def wood(rng: np.random.Generator) -> tuple[float, float, float]:
    """Sample the color of wood."""
    return shade((0.75, 0.55, 0.35), rng.uniform(0.55, 1.25))


def metal(rng: np.random.Generator) -> tuple[float, float, float]:
    """Sample the color of steel, brass or copper."""
    return shade([(0.72, 0.73, 0.75), (0.8, 0.66, 0.3), (0.6, 0.42, 0.3)][rng.integers(3)], rng.uniform(0.7, 1.15))
