"""Rendering of a scene: background regions, objects over each other, illumination, blur and noise."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from promptseg.synthetic import colors, noise
from promptseg.synthetic.canvas import Canvas
from promptseg.synthetic.outlines import Outline, rasterize

from world import objects
from world.fills import Fill, sample_fill
from world.objects import Family, Part
from world.scene import BACKGROUND, KINDS, Kind, Scene, SceneObject

SPLITS = ("train", "val", "test")
SIDES = (160, 256)  # smallest and largest side, pixels
MAX_FAMILIES, MAX_OBJECTS = 5, 70  # of an image
MAX_OCCLUSION = 0.35  # share of an object's area that may cover earlier objects
TRIES = 4  # positions that are tried for an object


class SceneCanvas(Canvas):
    """A canvas that labels each part, and lists the objects so far, background regions first."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        super().__init__(rng, height, width)
        self.objects: list[SceneObject] = []
        self._parts = 0

    def add_background(self, mask: np.ndarray, fill: Fill) -> None:
        """Paint a background region. mask: (h, w) bool."""
        self.cover(mask, partial(fill.paint, self.rng), self._parts)
        self.objects.append(SceneObject(BACKGROUND, "body", (self._parts,), fill.texture, int(mask.sum())))
        self._parts += 1

    def has_room(self, outline: Outline, radius: float, x: float, y: float) -> bool:
        """Whether an outline at this position would cover little of earlier objects."""
        rows, columns, inside = self.window(*rasterize(outline, radius, x, y))
        covered = self.labels[rows, columns][inside > 0]
        backgrounds = sum(each.shape == BACKGROUND for each in self.objects)
        return len(covered) > 0 and np.count_nonzero(covered >= backgrounds) <= MAX_OCCLUSION * len(covered)

    def add_object(
        self, family: Family, parts: list[Part], radius: float, center: tuple[float, float], edge_blur: float,
        opacity: float,
    ) -> None:  # fmt: skip
        """Paint an object over the image. parts: from the lowest to the topmost; others as of Canvas.paint."""
        ids = tuple(range(self._parts, self._parts + len(parts)))
        full_pixels = max(
            self.paint(part.outline, radius, center, partial(part.fill.paint, self.rng), id, edge_blur, opacity)
            for id, part in zip(ids, parts, strict=True)
        )
        texture, stroke = (parts[0].fill.texture, parts[0].outline.stroke(radius)) if len(parts) == 1 else (None, 0)
        self.objects.append(SceneObject(family.shape, family.build, ids, texture, full_pixels, stroke))
        self._parts += len(parts)


def render(seed: int, split: str, index: int, kind: str) -> Scene:
    """Render the scene with an index 0, 1, ... in one of SPLITS; it depends on the arguments alone."""
    rng = np.random.default_rng((seed, SPLITS.index(split), index, list(KINDS).index(kind)))
    canvas = SceneCanvas(rng, *(int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2)))
    _add_backgrounds(canvas, KINDS[kind])
    _add_objects(canvas, KINDS[kind])
    return Scene(_photograph(rng, canvas.image, KINDS[kind]), canvas.labels, tuple(canvas.objects))


def _add_backgrounds(canvas: SceneCanvas, kind: Kind) -> None:
    """Paint one region, or several with wavy borders; later ones may resemble the first."""
    rng, height, width = canvas.rng, canvas.height, canvas.width
    texture, size = None if kind.textured else "plain", 0.5 * min(height, width)
    first = sample_fill(rng, size, texture=texture)
    canvas.add_background(np.ones((height, width), bool), first)
    for _ in range(rng.integers(0, kind.max_backgrounds) if rng.random() < 0.7 else 0):
        fill = sample_fill(rng, size, texture=texture)
        if rng.random() < kind.camouflaged:
            fill = fill.blended(first.color, rng.uniform(0.5, 0.9))
        if rng.random() < 0.5:  # all on one side of a border
            angle = rng.uniform(0, 2 * np.pi)
            y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
            wave = noise.smooth(rng, height, width, rng.uniform(0.1, 0.5) * width) - 0.5
            field = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + wave * rng.uniform(0, 0.5)
            mask = field > rng.uniform(-0.25, 0.35)
        else:  # islands
            mask = noise.cloudy(rng, height, width, rng.uniform(0.15, 0.7) * width) > rng.uniform(0.45, 0.7)
        if mask.any():
            canvas.add_background(mask, fill)


def _add_objects(canvas: SceneCanvas, kind: Kind) -> None:
    """Paint families of objects, large ones first, so that small ones stay visible."""
    rng, side, remaining = canvas.rng, min(canvas.height, canvas.width), MAX_OBJECTS
    count = int(rng.integers(1, MAX_FAMILIES + 1))
    radii = np.sort(np.exp(rng.uniform(*np.log(kind.radii), count)) * side)[::-1]
    # In some images all families share a color name.
    color_name = colors.NAMES[rng.integers(len(colors.NAMES))] if rng.random() < 0.3 else None
    background = canvas.image.reshape(-1, 3).mean(axis=0)
    for radius in radii:
        family = objects.sample_family(rng, kind, float(max(radius, 2.5)), color_name)
        if rng.random() < kind.camouflaged:
            amount = rng.uniform(0.3, 0.7)
            fill, other_fill = (each.blended(background, amount) for each in (family.fill, family.other_fill))
            family = replace(family, fill=fill, other_fill=other_fill)
        max_members = int(np.clip(0.25 * (side / radius) ** 2, 1, 40))
        members = min(remaining, int(np.exp(rng.uniform(0, np.log(max_members + 1)))))
        edge_blur = rng.uniform(0, kind.max_edge_blur) if rng.random() < 0.5 else 0.0
        opacity = rng.uniform(0.55, 1.0) if rng.random() < 0.25 else 1.0
        cluster, spread = rng.random(2), (rng.uniform(0.1, 0.3) if rng.random() < 0.3 else None)
        for _ in range(members):
            parts, own_radius = objects.sample_object(rng, family, rng.uniform(*kind.stroke_scale))
            for _ in range(TRIES):
                position = rng.normal(cluster, spread) if spread else rng.uniform(-0.05, 1.05, 2)
                x, y = position * (canvas.width, canvas.height)
                if canvas.has_room(parts[-1].outline, own_radius, x, y):
                    canvas.add_object(family, parts, own_radius, (x, y), min(edge_blur, own_radius / 4), opacity)
                    remaining -= 1
                    break


def _photograph(rng: np.random.Generator, image: np.ndarray, kind: Kind) -> np.ndarray:
    """Apply illumination, color changes, blur, contrast and noise; returns (h, w, 3) uint8."""
    height, width = image.shape[:2]
    if rng.random() < 0.6:
        light = noise.smooth(rng, height, width, rng.uniform(0.4, 1.5) * width)
        image = image * (1 + rng.uniform(0.1, 0.6) * (light - 0.5))[..., None]
    gray = rng.random() < kind.gray
    if gray:
        image = (image @ colors.LUMA)[..., None]
    else:
        image = image * rng.normal(1, 0.025, 3).astype(np.float32)
        if rng.random() < 0.4:  # lower saturation
            luma = (image @ colors.LUMA)[..., None]
            image = luma + rng.uniform(0.3, 0.9) * (image - luma)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6)).reshape(height, width, -1)
    contrast = rng.uniform(*kind.contrast) if gray or kind.contrast[1] < 1 else rng.uniform(0.75, 1.0)
    center = rng.uniform(contrast / 2, 1 - contrast / 2)
    image = center + contrast * (image - 0.5)
    deviation = contrast * rng.uniform(*kind.noise) * (rng.random() < 0.8)
    if deviation:
        noise_field = rng.standard_normal(image.shape, np.float32)
        if rng.random() < 0.5:  # noise coarser than a pixel
            sigma = rng.uniform(0.4, 1.0)
            noise_field = cv2.GaussianBlur(noise_field, (0, 0), sigma).reshape(image.shape) * (1 + 2 * sigma)
        image = image + np.float32(deviation) * noise_field
    image = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(image, 3, axis=2) if gray else image
