"""Rendering of one leaf with veins, light and diseased spots.

Colors are RGB, float32, 1 is white. All arrays are as large as the image; x and y are its pixel coordinates.
"""

import math
from dataclasses import dataclass

import numpy as np

from promptseg.synthetic.texture import blur, noise, smoothstep


@dataclass(frozen=True)
class Plant:
    """Properties that the leaves of one plant share.

    green: their color; wide: breadth as a share of the length; teeth, lobes: depth and number along the margin;
    disease: a key of DISEASES; spots: how many a leaf has, about; old: how far it has yellowed, 0 to 1.
    """

    green: np.ndarray
    wide: float
    teeth: tuple[float, int]
    veins: int
    disease: str
    spots: float
    old: float


@dataclass(frozen=True)
class Disease:
    """How the spots of a disease look.

    Attributes:
        size: radius of a spot as a share of the image height.
        core: color of the middle.
        rim: color of the border.
        halo: strength of the yellow around it, which is no part of the spot.
        rough: how irregular it is.
    """

    size: tuple[float, float]
    core: tuple[float, float, float]
    rim: tuple[float, float, float]
    halo: float
    rough: float


DISEASES = {
    "blight": Disease((0.045, 0.09), (0.36, 0.25, 0.14), (0.2, 0.13, 0.08), 0.55, 0.75),
    "leaf spot": Disease((0.018, 0.042), (0.66, 0.6, 0.48), (0.3, 0.16, 0.1), 0.8, 0.4),
    "rust": Disease((0.01, 0.02), (0.62, 0.31, 0.08), (0.45, 0.2, 0.06), 0.5, 0.35),
    "mildew": Disease((0.03, 0.06), (0.84, 0.86, 0.82), (0.72, 0.77, 0.7), 0.0, 0.9),
}
_YELLOW = np.array((0.74, 0.7, 0.2), np.float32)


class Leaf:
    """shape (h, w) float32: 1 on the leaf, 0 off, soft in between; color (h, w, 3); spot (h, w) bool."""

    def __init__(self, rng: np.random.Generator, plant: Plant, x: np.ndarray, y: np.ndarray, at, length, angle, sick):
        self.rng, self.plant = rng, plant
        self.h, self.w = x.shape
        across, along = math.cos(angle), math.sin(angle)  # plain floats keep the arrays in float32
        u = ((x - at[0]) * across + (y - at[1]) * along) / length
        v = (-(x - at[0]) * along + (y - at[1]) * across) / length
        bend = rng.uniform(-0.35, 0.35)
        self.u, self.v = u, v - bend * (0.25 - u * u)  # the midrib is an arc
        self.light = math.sin(angle - 2.2)  # which half of the blade faces the sun
        self._margin(length)
        self._surface()
        self.spot = np.zeros((self.h, self.w), bool)
        for _ in range(rng.poisson(plant.spots) + 1 if sick else 0):
            self._infect(DISEASES[plant.disease])

    def _margin(self, length: float) -> None:
        """The leaf is widest below its middle; its tip is drawn out; its margin has teeth or lobes."""
        depth, count = self.plant.teeth
        u = np.clip(self.u + 0.5, 0, 1)
        half = self.plant.wide * 0.5 * np.maximum(np.sin(np.pi * u**0.8), 0) ** 0.8 * (1 - 0.25 * u)
        half = half * (1 - depth * np.abs(((u * count) % 1) * 2 - 1))
        self.half = np.maximum(half, 1e-3)
        self.edge = np.where((self.u > -0.5) & (self.u < 0.5), self.half - np.abs(self.v), -1) * length  # in pixels
        stalk = (np.abs(self.v) * length < 1.6) & (self.u <= -0.49) & (self.u > -0.72)
        self.shape = np.where(stalk, 1, smoothstep(self.edge, -0.8, 0.8)).astype(np.float32)
        self.inside = self.edge > 0.012 * self.h

    def _surface(self) -> None:
        rng, plant, side = self.rng, self.plant, np.sign(self.v)
        mottle = noise(rng, self.h, self.w, 0.12 * self.h, 4) - 0.5
        tone = 1 + 0.3 * mottle + 0.16 * side * self.light - 0.25 * (np.minimum(np.abs(self.v) / self.half, 1) - 0.4)
        color = plant.green * tone[..., None]
        yellow = plant.old * smoothstep(noise(rng, self.h, self.w, 0.35 * self.h, 3), 0.45, 0.75)
        color += (_YELLOW * tone[..., None] - color) * (0.75 * yellow)[..., None]
        phase = ((self.u + 0.5) - 0.9 * np.abs(self.v)) * plant.veins  # side veins run out and forward
        near = np.abs(phase % 1 - 0.5) * 2
        vein = np.maximum(0.5 * smoothstep(near, 0.86, 1.0), smoothstep(-np.abs(self.v), -0.016, -0.006))
        ripple = 0.09 * np.sin(2 * np.pi * phase)  # the blade bulges between the veins
        color = color * (1 + ripple)[..., None] + (vein * 0.13)[..., None] * np.array((1.0, 1.1, 0.7), np.float32)
        gloss = smoothstep(noise(rng, self.h, self.w, 0.2 * self.h, 3) + 0.1 * side, 0.72, 0.95) * 0.22
        self.color = color + gloss[..., None]

    def _infect(self, disease: Disease) -> None:
        """Lay one spot somewhere on the leaf."""
        rows, columns = np.nonzero(self.inside)
        if not len(rows):
            return
        k = int(self.rng.integers(len(rows)))
        radius = self.rng.uniform(*disease.size) * self.h
        reach = int(radius * 3.2) + 3
        top, left = max(rows[k] - reach, 0), max(columns[k] - reach, 0)
        window = np.s_[top : min(rows[k] + reach, self.h), left : min(columns[k] + reach, self.w)]
        y, x = np.mgrid[window].astype(np.float32)
        squeeze = self.rng.uniform(0.7, 1.4)
        away = np.hypot((x - columns[k]) * squeeze, (y - rows[k]) / squeeze) / radius
        rough = noise(self.rng, *away.shape, max(radius * 0.9, 3), 3) - 0.5
        away = away + disease.rough * rough
        fleck = noise(self.rng, *away.shape, max(radius * 0.4, 2), 3)[..., None]
        color = self.color[window]
        halo = disease.halo * smoothstep(-away, -2.1, -1.0)[..., None]
        color += (_YELLOW - color) * halo * 0.75
        rings = 0.12 * np.sin(away * 9)[..., None] if self.plant.disease == "blight" else 0
        ring = smoothstep(away, 0.55, 0.95)[..., None]
        dead = np.array(disease.core, np.float32) * (1 - ring) + np.array(disease.rim, np.float32) * ring
        dead = dead * (0.72 + 0.5 * fleck + rings)
        cover = smoothstep(-away, -1.12, -0.9)[..., None] * (0.85 if disease.halo == 0 else 0.96)
        color += (dead - color) * cover
        self.spot[window] |= (away < 1.0) & (self.edge[window] > 0)

    def shadow(self, offset: int) -> np.ndarray:
        """How dark the ground is under the leaf, 0 to 1."""
        return 0.55 * blur(np.roll(self.shape, (offset, offset // 2), (0, 1)), 0.02 * self.h)
