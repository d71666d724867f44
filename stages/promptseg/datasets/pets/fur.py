"""Fur, cloth and light: shapes shaded like rounded bodies, with hair along a direction and a ragged edge.

A Canvas holds the image, (h, w, 3) float32 RGB in 0 to about 1, and the pet's coverage of each pixel. Shapes are drawn
from back to front, and each covers both.
"""

from collections.abc import Callable

import cv2
import numpy as np

Coat = Callable[[np.ndarray, np.ndarray], np.ndarray]  # pixels x, y (h, w) -> RGB (h, w, 3)


def noise(rng: np.random.Generator, h: int, w: int, scale: float, octaves: int = 3) -> np.ndarray:
    """Sample smooth noise (h, w) float32 of mean 0 and standard deviation 1; scale: pixels across its largest grain."""
    total, weight = np.zeros((h, w), np.float32), 1.0
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        grid = rng.standard_normal((int(h / step) + 3, int(w / step) + 3), np.float32)
        size = max(w, round(grid.shape[1] * step)), max(h, round(grid.shape[0] * step))
        total += weight * cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)[:h, :w]
        weight *= 0.55
    return (total - total.mean()) / (total.std() + 1e-6)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (h, w) or (h, w, 3) with a Gaussian, at a quarter of the resolution if sigma is large."""
    if sigma < 8:
        return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.1))
    h, w = values.shape[:2]
    small = cv2.resize(values, (max(w // 4, 1), max(h // 4, 1)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (w, h), interpolation=cv2.INTER_LINEAR)


def step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Apply a smooth step: 0 up to `low`, 1 from `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def plain(color) -> Coat:
    """Return a coat of a single color."""
    color = np.array(color, np.float32)
    return lambda x, y: np.broadcast_to(color, (*x.shape, 3))


def smooth(points, spacing: float = 2.0) -> np.ndarray:
    """Smooth a closed outline (n, 2) by cutting its corners (Chaikin 1974), and resample it every `spacing` pixels."""
    points = np.asarray(points, float)
    for _ in range(4):
        ahead = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * ahead, 0.25 * points + 0.75 * ahead], axis=1).reshape(-1, 2)
    ring = np.concatenate([points, points[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    at = np.linspace(0, along[-1], max(12, int(along[-1] / spacing)), endpoint=False)
    return np.stack([np.interp(at, along, ring[:, axis]) for axis in (0, 1)], axis=1)


class Canvas:
    """The image (`rgb`) and the coverage by the pet (`pet`, (h, w) float32 in [0, 1])."""

    def __init__(self, rng: np.random.Generator, h: int, w: int):
        self.rng, self.h, self.w = rng, h, w
        self.rgb, self.pet = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
        side = 192
        threads = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), 0.7, sigmaY=5.0)
        clumps = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), 2.2, sigmaY=9.0)
        self._strands = threads / threads.std() + 0.8 * clumps / clumps.std()  # hair that hangs down
        angle = rng.uniform(-2.5, -0.6)  # where the light comes from: above, from the left to the right
        self.light = np.array([np.cos(angle) * 0.6, np.sin(angle) * 0.6, rng.uniform(0.45, 0.75)], np.float32)
        self.ambient = rng.uniform(0.4, 0.62)

    def paint(
        self, outline: np.ndarray, coat: Coat, *, pet: bool, fluff: float = 0.0, strands: float = 0.0,
        hang: float = 0.0, depth: float = 12.0, soften: float = 0.6,
    ) -> None:  # fmt: skip
        """Draw a rounded shape over the image.

        outline: (n, 2) pixels; fluff: pixels by which hairs stand out of it; strands: their contrast; hang: the angle
        of the hairs, 0 downwards, in radians; depth: pixels from the edge to where the shape is flat; soften: the
        blur of its edge.
        """
        outline = self._ragged(outline, fluff, hang) if fluff > 0.3 else outline
        low = np.floor(outline.min(0) - 3).astype(int).clip(0)
        high = np.minimum(np.ceil(outline.max(0) + 4).astype(int), (self.w, self.h))
        if (high - low < 2).any():
            return
        box = np.s_[low[1] : high[1], low[0] : high[0]]
        y, x = np.mgrid[box].astype(np.float32)
        inside = np.zeros(x.shape, np.uint8)
        cv2.fillPoly(inside, [np.round((outline - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
        shade = self._shade(inside, depth)
        if strands:
            shade = shade * (1 + strands * self._hair(x.shape, hang))
        cover = cv2.GaussianBlur(inside.astype(np.float32) / 255, (0, 0), soften)[..., None]
        self.rgb[box] += (coat(x, y) * shade[..., None] - self.rgb[box]) * cover
        self.pet[box] += ((1.0 if pet else 0.0) - self.pet[box]) * cover[..., 0]

    def shadow(self, center, size, strength: float) -> None:
        """Darken an ellipse softly, as the shadow below an object; center, size: (x, y) in pixels."""
        dark = np.zeros((self.h, self.w), np.float32)
        cv2.ellipse(dark, [round(v) for v in center], [max(1, round(v)) for v in size], 0, 0, 360, 1.0, -1)
        self.rgb *= 1 - strength * blur(dark, max(2.0, 0.5 * size[1]))[..., None]

    def _ragged(self, outline: np.ndarray, fluff: float, hang: float) -> np.ndarray:
        """The outline with tufts: outwards, and swept to where the hair hangs."""
        ahead = np.roll(outline, -1, 0) - np.roll(outline, 1, 0)
        normal = np.stack([ahead[:, 1], -ahead[:, 0]], 1) / (np.hypot(*ahead.T)[:, None] + 1e-6)
        x, y = outline.T
        turn = np.sign((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())  # outwards, whichever way round it runs
        tufts = self.rng.standard_normal(len(outline))
        tufts = np.maximum(tufts + np.convolve(np.resize(tufts, len(tufts) + 4), np.ones(5) / 2.2, "valid"), -0.6)
        sweep = np.array([np.sin(-hang), np.cos(hang)]) * 0.5
        return outline + (turn * normal + sweep) * (0.5 * fluff * tufts)[:, None]

    def _shade(self, inside: np.ndarray, depth: float) -> np.ndarray:
        """Light on a dome over the shape, darker at its rim: (h, w), about 1 where it faces the light."""
        away = cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 3)
        t = 1 - np.clip(away / depth, 0, 1)
        dome = cv2.GaussianBlur(depth * np.sqrt(np.maximum(1 - t * t, 0)), (0, 0), max(1.0, 0.16 * depth))
        dx, dy = cv2.Sobel(dome, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(dome, cv2.CV_32F, 0, 1, scale=1 / 8)
        facing = (self.light[2] - self.light[0] * dx - self.light[1] * dy) / np.sqrt(1 + dx * dx + dy * dy)
        return (self.ambient + (1.15 - self.ambient) * np.maximum(facing, 0) / 0.8) * (0.82 + 0.18 * (1 - t))

    def _hair(self, shape: tuple[int, int], hang: float) -> np.ndarray:
        """Strands (h, w) of deviation about 1 that hang at an angle."""
        h, w = shape
        c, s = np.cos(hang), np.sin(hang)
        shift = self.rng.uniform(0, 192, 2)
        turn = np.array([[c, s, shift[0]], [-s, c, shift[1]]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self._strands, turn, (w, h), flags=how, borderMode=cv2.BORDER_REFLECT_101)
