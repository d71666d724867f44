"""Textures of stuff, as large as the image: (h, w, 3) float32 RGB, 1 is white; outlines select the visible region."""

import cv2
import numpy as np

from promptseg.synthetic.texture import noise, smoothstep

GROUNDS = {  # dark color, bright color, grain in pixels, how much taller a grain is than wide
    "grass": ((0.18, 0.26, 0.08), (0.5, 0.58, 0.24), 6, 2.2),
    "tree": ((0.06, 0.11, 0.04), (0.36, 0.45, 0.18), 12, 0.9),
    "bush": ((0.1, 0.15, 0.06), (0.4, 0.48, 0.2), 7, 0.9),
    "mountain": ((0.25, 0.27, 0.3), (0.56, 0.55, 0.53), 34, 0.8),
    "hill": ((0.2, 0.26, 0.14), (0.46, 0.48, 0.28), 26, 0.5),
    "rock": ((0.2, 0.19, 0.18), (0.55, 0.52, 0.48), 16, 0.7),
    "sand": ((0.62, 0.53, 0.4), (0.88, 0.8, 0.66), 9, 0.4),
    "dirt": ((0.33, 0.25, 0.17), (0.66, 0.54, 0.4), 9, 0.6),
    "snow": ((0.72, 0.76, 0.82), (0.97, 0.98, 1.0), 30, 0.4),
    "road": ((0.3, 0.3, 0.31), (0.5, 0.5, 0.5), 4, 0.4),
    "pavement": ((0.45, 0.43, 0.41), (0.68, 0.66, 0.62), 6, 0.5),
    "sea": ((0.1, 0.24, 0.33), (0.5, 0.64, 0.7), 20, 0.16),
    "river": ((0.12, 0.2, 0.2), (0.46, 0.54, 0.5), 26, 0.14),
}


def ground(rng: np.random.Generator, name: str, h: int, w: int, horizon: float = 0.0) -> np.ndarray:
    """A natural texture whose grains grow from the horizon (a row) towards the camera."""
    dark, bright, grain, stretch = GROUNDS[name]
    dark, bright = (np.clip(np.array(c) + rng.normal(0, 0.035, 3), 0, 1).astype(np.float32) for c in (dark, bright))
    near = np.clip((np.arange(h, dtype=np.float32)[:, None] - horizon) / (h - horizon), 0, 1)
    fine, coarse = (noise(rng, h, w, max(2.0, grain * size), 4, stretch) for size in (0.45, 1.5))
    mix = 0.6 * (fine * (1 - near) + coarse * near) + 0.4 * noise(rng, h, w, 90, 3)
    mix += rng.normal(0, 0.05, (h, w)).astype(np.float32)
    return dark + (bright - dark) * smoothstep(mix, 0.15, 0.85)[..., None]


def sky(rng: np.random.Generator, h: int, w: int, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """The sky, paler towards the horizon, and how much each pixel is cloud, in [0, 1] (h, w)."""
    tops = ((0.22, 0.42, 0.75), (0.5, 0.62, 0.74), (0.68, 0.71, 0.75), (0.7, 0.52, 0.45))
    top = np.array(tops[rng.choice(4, p=(0.45, 0.25, 0.2, 0.1))], np.float32)
    low = 0.45 * top + 0.55 * np.float32([0.9, 0.9, 0.88])
    fade = np.clip(np.arange(h, dtype=np.float32) / max(horizon, 1), 0, 1)[:, None, None]
    air = top + (low - top) * fade
    cover = rng.uniform(-0.25, 0.25)
    shape = noise(rng, h, w, 100, 5, 0.45)
    clouds = smoothstep(shape + cover, 0.52, 0.8)
    lit = 0.8 + 0.2 * smoothstep(shape - np.roll(shape, -6, 0), -0.08, 0.1)
    return air + (np.float32([0.97, 0.97, 0.98]) * lit[..., None] - air) * clouds[..., None] * 0.9, clouds


def bricks(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    base = np.float32([0.58, 0.33, 0.26]) * rng.uniform(0.75, 1.25) + rng.normal(0, 0.03, 3)
    wide, tall = rng.uniform(16, 30), rng.uniform(7, 12)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x = x + (y // tall % 2) * wide / 2
    each = rng.random((64, 64), np.float32)[(y // tall).astype(int), (x // wide).astype(int)]
    joint = (x % wide < 1.6) | (y % tall < 1.6)
    tone = np.where(joint, rng.uniform(0.9, 1.4), 0.75 + 0.35 * each + 0.3 * noise(rng, h, w, 40, 5))
    return (base * tone[..., None]).astype(np.float32)


def planks(rng: np.random.Generator, h: int, w: int, horizon: float) -> np.ndarray:
    """A wooden floor: boards that run away from the camera to one point above the horizon."""
    base = np.array([(0.62, 0.43, 0.27), (0.45, 0.29, 0.17), (0.74, 0.6, 0.44)][rng.integers(3)], np.float32)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    depth = 1 / np.maximum(y - horizon + 40, 12)
    across = (x - w * rng.uniform(0.3, 0.7)) * depth * rng.uniform(5, 9)
    board = np.floor(across).astype(int)
    along = 60 * depth + board * 0.37
    tone = rng.random(97, np.float32)[(board * 7 + np.floor(along * 2).astype(int)) % 97]
    seam = (across - board < 0.06) | (along * 2 % 1 < 0.03)
    grain = noise(rng, h, w, 40, 5, 2.5)
    return base * ((0.75 + 0.25 * tone + 0.25 * grain) * np.where(seam, 0.65, 1))[..., None]


def wall(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Painted plaster, brighter on one side."""
    base = np.clip(np.array([0.72, 0.69, 0.62]) + rng.normal(0, 0.1, 3), 0.3, 0.95).astype(np.float32)
    side = np.linspace(-0.2, 0.2, w, dtype=np.float32) * rng.choice((-1, 1))
    return base * (0.9 + side + 0.12 * (noise(rng, h, w, 60, 5) - 0.5))[..., None]


def woven(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A rug: bands of two colors with a fine weave."""
    first, second = (rng.uniform(0.2, 0.8, 3).astype(np.float32) for _ in range(2))
    y = np.arange(h, dtype=np.float32)[:, None] + 3 * noise(rng, h, w, 60, 2)
    bands = (np.sin(y * rng.uniform(0.25, 0.7)) > rng.uniform(-0.3, 0.6)).astype(np.float32)[..., None]
    return (first + (second - first) * bands) * (0.85 + 0.3 * rng.random((h, w, 1), np.float32))


def facade(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A building: storeys of windows in plaster, stone or brick."""
    face = bricks(rng, h, w) if rng.random() < 0.4 else wall(rng, h, w) * rng.uniform(0.6, 1.0)
    wide, tall = rng.uniform(13, 22), rng.uniform(18, 28)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    panes = (x % wide > 0.35 * wide) & (y % tall > 0.4 * tall)
    lit = 0.25 + 0.5 * rng.random((32, 32), np.float32)[(y // tall).astype(int) % 32, (x // wide).astype(int) % 32]
    glass = np.float32([0.55, 0.65, 0.75]) * lit[..., None]
    return np.where(panes[..., None], glass, face)


def soften(cover: np.ndarray, rng: np.random.Generator, width: float) -> np.ndarray:
    """Soften the edge of an outline (h, w) of 0 and 1 irregularly over `width` pixels."""
    if width < 0.5:
        return cv2.GaussianBlur(cover, (0, 0), 0.5)
    ragged = cv2.GaussianBlur(cover, (0, 0), width) + 0.35 * (noise(rng, *cover.shape, 4, 2) - 0.5)
    return smoothstep(ragged, 0.3, 0.7)
