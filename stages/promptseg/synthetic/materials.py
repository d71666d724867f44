"""Materials of backgrounds, and backdrops made of them."""

import functools

import numpy as np

from promptseg.synthetic.canvas import Canvas, Surface
from promptseg.synthetic.noise import noise, ridge, smoothstep

# Dark and bright color, RGB in [0, 1]; grain, pixels; how much taller a grain is than wide; height and width of bricks.
MATERIALS = {
    "grass": ((0.16, 0.24, 0.08), (0.5, 0.58, 0.25), 7, 2.5, None),
    "leaves": ((0.07, 0.16, 0.05), (0.38, 0.5, 0.2), 16, 1.0, None),
    "litter": ((0.28, 0.17, 0.06), (0.72, 0.48, 0.18), 14, 1.0, None),
    "soil": ((0.22, 0.15, 0.1), (0.5, 0.38, 0.27), 7, 1.0, None),
    "sand": ((0.6, 0.5, 0.36), (0.87, 0.79, 0.63), 5, 1.0, None),
    "gravel": ((0.3, 0.29, 0.28), (0.72, 0.7, 0.66), 5, 1.0, None),
    "rock": ((0.27, 0.26, 0.28), (0.6, 0.57, 0.54), 30, 1.6, None),
    "snow": ((0.74, 0.79, 0.88), (0.97, 0.98, 1.0), 60, 1.0, None),
    "water": ((0.12, 0.26, 0.36), (0.45, 0.6, 0.68), 26, 0.25, None),
    "asphalt": ((0.26, 0.26, 0.28), (0.45, 0.45, 0.46), 6, 1.0, None),
    "paving": ((0.42, 0.4, 0.38), (0.68, 0.66, 0.62), 8, 1.0, (12, 18)),
    "plaster": ((0.6, 0.55, 0.47), (0.85, 0.8, 0.7), 70, 1.0, None),
    "brick": ((0.42, 0.2, 0.14), (0.68, 0.4, 0.3), 10, 1.0, (12, 28)),
    "tiles": ((0.5, 0.55, 0.58), (0.82, 0.86, 0.88), 50, 1.0, (44, 44)),
    "planks": ((0.38, 0.25, 0.14), (0.72, 0.52, 0.32), 90, 0.1, (30, 4000)),
    "carpet": ((0.42, 0.14, 0.16), (0.62, 0.32, 0.3), 4, 1.0, None),
    "sky": ((0.32, 0.5, 0.8), (0.82, 0.88, 0.93), 300, 0.5, None),
    "clouds": ((0.5, 0.52, 0.56), (0.93, 0.93, 0.94), 90, 0.5, None),
}


def material(rng: np.random.Generator, name: str, vary: float = 0.0) -> Surface:
    """Return the surface of a material, one of MATERIALS. vary: deviation of its brightness; of its tint, a quarter."""
    dark, bright, grain, stretch, bricks = MATERIALS[name]
    tint = rng.normal(1, vary) + rng.normal(0, vary / 4, 3) if vary else np.ones(3)
    return functools.partial(_render, rng, tint * dark, tint * bright, grain, stretch, bricks)


def _render(rng, dark, bright, grain: float, stretch: float, bricks, h: int, w: int) -> np.ndarray:
    mix = 0.6 * noise(rng, h, w, grain, 3, stretch) + 0.4 * noise(rng, h, w, 70, 3, stretch)
    share = smoothstep(mix + rng.normal(0, 0.05, (h, w)).astype(np.float32), 0.2, 0.8)
    if bricks:
        y, x = np.mgrid[:h, :w]
        row = y // bricks[0]
        shifted = x + row % 2 * (bricks[1] // 2) * (bricks[0] != bricks[1])
        joint = (y % bricks[0] < 1.5) | (shifted % bricks[1] < 1.5)
        each = rng.random((h // bricks[0] + 1, 2 * w // bricks[1] + 2), np.float32)[row, shifted // bricks[1]]
        share = np.where(joint, 0, 0.5 * share + 0.5 * each)
    dark, bright = np.asarray(dark, np.float32), np.asarray(bright, np.float32)
    return dark + (bright - dark) * share[..., None].astype(np.float32)


def layer(
    canvas: Canvas, name: str, label: int, top: float = 0.0, wave: float = 0.0, vary: float = 0.0
) -> None:  # fmt: skip
    """Cover the canvas from a row on down.

    Args:
        canvas: to paint on.
        name: of the material.
        label: of its pixels.
        top: the row, as a share of the height.
        wave: how far its upper edge leaves the row, as a share of the height.
        vary: as in `material`.
    """
    edge = canvas.height * top + ridge(canvas.rng, canvas.width, max(wave, 1e-6) * canvas.height)
    canvas.cover(np.arange(canvas.height)[:, None] + 0.5 >= edge, material(canvas.rng, name, vary), label)
