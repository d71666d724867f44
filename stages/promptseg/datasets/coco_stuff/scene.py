"""Scenes made mostly of stuff, 256x192, in which every pixel has a class or is unlabeled.

A Scene is painted from back to front; each layer covers those behind it, in the image and in the labels. Neighbors
look alike where they do in real images: the sea takes the color of the sky, far mountains
fade into the air, bushes stand in front of trees.
"""

import cv2
import numpy as np

from promptseg.datasets.coco_stuff import materials
from promptseg.datasets.coco_stuff.things import THINGS
from promptseg.synthetic.figure import Part, light, oval, paint, put, region, shadow, smooth, transform
from promptseg.synthetic.texture import noise, ridge

WIDTH, HEIGHT = 256, 192
UNLABELLED = 255


class Scene:
    """picture: (192, 256, 3) float32 RGB, 1 is white; labels: (192, 256) uint8; air: the sky's color at the horizon.

    values: class name to label.
    """

    def __init__(self, rng: np.random.Generator, values: dict[str, int]):
        self.rng, self.values = rng, values
        self.y, self.x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        self.picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        self.labels = np.full((HEIGHT, WIDTH), UNLABELLED, np.uint8)
        self.air = np.ones(3, np.float32)
        self.towards = (rng.normal(0, 0.7), -0.8)  # the light, x and y

    def lay(self, name: str, texture: np.ndarray, cover: np.ndarray, soft: float = 0.0) -> None:
        """Paint stuff inside an outline (h, w); soft: pixels over which its edge dissolves."""
        cover = materials.soften(cover.astype(np.float32), self.rng, soft)
        self.picture += (texture - self.picture) * cover[..., None]
        self.labels[cover > 0.5] = self.values[name]

    def sky(self, horizon: float) -> None:
        """Sky down to a row and below it; thick cloud has a class of its own."""
        texture, clouds = materials.sky(self.rng, HEIGHT, WIDTH, horizon)
        self.lay("sky-other", texture, np.ones_like(clouds))
        self.labels[cv2.GaussianBlur(clouds, (0, 0), 3) > 0.6] = self.values["clouds"]
        self.air = texture[max(0, min(int(horizon) - 4, HEIGHT - 1))].mean(0)

    def ridge(self, name: str, foot: float, tall: float, grain: float, haze: float = 0.0, soft: float = 0.7) -> None:
        """Hills, mountains or trees that rise from a row on; haze: how far they fade into the air."""
        edge = foot - tall * (0.45 + ridge(self.rng, WIDTH, 0.9, grain) + ridge(self.rng, WIDTH, 0.2, grain / 6))
        texture = materials.ground(self.rng, name, HEIGHT, WIDTH)
        self.lay(name, texture + (self.air - texture) * haze, (self.y > edge) & (self.y < foot + 6), soft)

    def ground(self, name: str, horizon: float, bend: float = 4.0, soft: float = 1.0) -> None:
        """A natural ground from a row on; bend: pixels by which its edge leaves the row."""
        edge = horizon + ridge(self.rng, WIDTH, bend, 0.4)
        self.lay(name, materials.ground(self.rng, name, HEIGHT, WIDTH, horizon), self.y > edge, soft)

    def stand(self, name: str, foot: tuple[float, float], tall: float) -> None:
        """Paint an object whose foot is at (x, y), `tall` pixels high."""
        half, rng = tall / 2, self.rng
        flip = rng.choice((-1, 1)) * rng.uniform(0.85, 1.1)
        matrix = transform(half, rng.normal(0, 0.04), (foot[0], foot[1] - half), flip)
        self.figure(THINGS[name](rng), matrix, self.values[name], 0.08 * half)

    def stray(self, count: int) -> None:
        """Small objects without labels."""
        for _ in range(count):
            at, r = self.rng.uniform((0, 0.4 * HEIGHT), (WIDTH, HEIGHT)), self.rng.uniform(3, 11)
            outline = smooth(at + oval(0, 0, r, r * 0.8, n=8)[:-1] + self.rng.normal(0, 0.2 * r, (7, 2)))
            self.figure([Part(outline, tuple(self.rng.uniform(0.1, 0.9, 3)))], np.eye(2, 3), UNLABELLED, 1.0)

    def figure(self, parts: list[Part], matrix: np.ndarray, value: int, fall: float) -> None:
        """Paint a figure with its shadow, `fall` pixels below it, and label it."""
        color, cover = paint(parts, matrix, HEIGHT, WIDTH)
        at = region(cover, 14)
        part, inside = self.picture[at], cover[at]
        shadow(part, inside, (-4 * self.towards[0], fall), 3, 0.25)
        color = light(color[at], inside, self.towards, 0.5, 2.5)
        color *= (0.8 + 0.4 * noise(self.rng, *inside.shape, 14, 3))[..., None]
        put(part, color, inside)
        self.labels[cover > 0.5] = value

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Light, blur and grain; a gap of unlabeled pixels at some borders, as between real superpixels."""
        rng = self.rng
        lamp = (0.85 + 0.3 * noise(rng, HEIGHT, WIDTH, 220, 1))[..., None] * (1 + rng.normal(0, 0.04, 3))
        seen = cv2.GaussianBlur(self.picture, (0, 0), rng.uniform(0.4, 0.8)) * lamp * rng.uniform(0.7, 1.15)
        seen = seen + rng.normal(0, rng.uniform(0.006, 0.02), (HEIGHT, WIDTH, 1))
        rim = cv2.morphologyEx(self.labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        self.labels[rim & (noise(rng, HEIGHT, WIDTH, 60, 2) > 0.62)] = UNLABELLED
        return (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8), self.labels
