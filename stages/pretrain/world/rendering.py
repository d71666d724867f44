"""Rendering of a scene: background regions, objects over each other, illumination, blur and noise."""

from dataclasses import replace

import cv2
import numpy as np

from world import colors, fills, noise, objects
from world.kinds import KINDS, Kind
from world.objects import Family, Part
from world.outlines import rasterize
from world.scene import BACKGROUND, Scene, SceneObject

SPLITS = ("train", "val", "test")
SIDES = (160, 256)  # smallest and largest side, pixels
MAX_FAMILIES, MAX_OBJECTS = 5, 70  # of an image
MAX_OCCLUSION = 0.35  # share of an object's area that may cover earlier objects
TRIES = 4  # positions that are tried for an object


class Canvas:
    """An image under construction.

    Attributes:
        image: (h, w, 3) float32.
        labels: (h, w) int16, id of the part that each pixel shows.
        objects: so far, background regions first.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.height, self.width = rng, height, width
        self.image = np.zeros((height, width, 3), np.float32)
        self.labels = np.zeros((height, width), np.int16)
        self.objects: list[SceneObject] = []
        self._parts = 0

    def add_background(self, mask: np.ndarray, fill: fills.Fill) -> None:
        """Paint a background region. mask: (h, w) bool."""
        surface = fill.paint(self.rng, self.height, self.width)
        np.copyto(self.image, surface, where=mask[..., None])
        self.labels[mask] = self._parts
        self.objects.append(SceneObject(BACKGROUND, "body", (self._parts,), fill.texture, int(mask.sum())))
        self._parts += 1

    def has_room(self, parts: list[Part], radius: float, x: float, y: float) -> bool:
        """Whether an object at this position would cover little of earlier objects."""
        mask, left, top = rasterize(parts[-1].outline, radius, x, y)
        rows, columns, inside = self._window(mask, left, top)
        covered = self.labels[rows, columns][inside > 0]
        backgrounds = sum(each.shape == BACKGROUND for each in self.objects)
        return len(covered) > 0 and np.count_nonzero(covered >= backgrounds) <= MAX_OCCLUSION * len(covered)

    def add_object(
        self, family: Family, parts: list[Part], radius: float, center: tuple[float, float], edge_blur: float,
        opacity: float,
    ) -> None:  # fmt: skip
        """Paint an object over the image.

        Args:
            family: of the object.
            parts: from the lowest to the topmost.
            radius: pixels.
            center: x, y in pixels.
            edge_blur: sigma, pixels.
            opacity: in [0, 1].
        """
        first_part, full_pixels = self._parts, 0
        for part in parts:
            mask, left, top = rasterize(part.outline, radius, *center)
            full_pixels = max(full_pixels, int(np.count_nonzero(mask)))
            rows, columns, inside = self._window(mask, left, top)
            if inside.size:
                self._blend(self.image[rows, columns], inside, part.fill, edge_blur, opacity)
                self.labels[rows, columns][inside > 0] = self._parts
            self._parts += 1
        texture = parts[0].fill.texture if len(parts) == 1 else None
        stroke = parts[0].outline.stroke(radius) if len(parts) == 1 else 0
        ids = tuple(range(first_part, self._parts))
        self.objects.append(SceneObject(family.shape, family.build, ids, texture, full_pixels, stroke))

    def _blend(
        self, window: np.ndarray, inside: np.ndarray, fill: fills.Fill, edge_blur: float, opacity: float
    ) -> None:
        """Paint a part into a window of the image."""
        alpha = inside.astype(np.float32)
        if edge_blur > 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), edge_blur)
        window += (fill.paint(self.rng, *inside.shape) - window) * (opacity * alpha)[..., None]

    def _window(self, mask: np.ndarray, left: int, top: int) -> tuple[slice, slice, np.ndarray]:
        """Rows and columns of the canvas under a mask, and the part of the mask on the canvas."""
        rows = slice(max(top, 0), max(min(top + mask.shape[0], self.height), 0))
        columns = slice(max(left, 0), max(min(left + mask.shape[1], self.width), 0))
        inside = mask[rows.start - top : max(rows.stop - top, 0), columns.start - left : max(columns.stop - left, 0)]
        return rows, columns, inside


def render(seed: int, split: str, index: int, kind: str) -> Scene:
    """Render the scene with this index; it depends on the arguments alone.

    Args:
        seed: of all scenes.
        split: of SPLITS.
        index: 0, 1, ...
        kind: of KINDS.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), index, list(KINDS).index(kind)))
    composition = KINDS[kind]
    height, width = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    canvas = Canvas(rng, height, width)
    _add_backgrounds(canvas, composition)
    _add_objects(canvas, composition)
    image = _photograph(rng, canvas.image, composition)
    return Scene(image, canvas.labels, tuple(canvas.objects))


def _add_backgrounds(canvas: Canvas, kind: Kind) -> None:
    """Paint one region, or several with wavy borders; later ones may resemble the first."""
    rng, height, width = canvas.rng, canvas.height, canvas.width
    texture = None if kind.textured else "plain"
    first = fills.sample_fill(rng, 0.5 * min(height, width), texture=texture)
    canvas.add_background(np.ones((height, width), bool), first)
    for _ in range(rng.integers(0, kind.max_backgrounds) if rng.random() < 0.7 else 0):
        fill = fills.sample_fill(rng, 0.5 * min(height, width), texture=texture)
        if rng.random() < kind.camouflaged:
            fill = fills.blend_fill(fill, first.color, rng.uniform(0.5, 0.9))
        if rng.random() < 0.5:  # all on one side of a border
            angle = rng.uniform(0, 2 * np.pi)
            y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
            wave = noise.smooth(rng, height, width, rng.uniform(0.1, 0.5) * width) - 0.5
            field = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + wave * rng.uniform(0, 0.5)
            mask = field > rng.uniform(-0.25, 0.35)
        else:  # islands
            field = noise.cloudy(rng, height, width, rng.uniform(0.15, 0.7) * width)
            mask = field > rng.uniform(0.45, 0.7)
        if mask.any():
            canvas.add_background(mask, fill)


def _add_objects(canvas: Canvas, kind: Kind) -> None:
    """Paint families of objects, large ones first, so that small ones stay visible."""
    rng, side = canvas.rng, min(canvas.height, canvas.width)
    count = int(rng.integers(1, MAX_FAMILIES + 1))
    radii = np.sort(np.exp(rng.uniform(*np.log(kind.radii), count)) * side)[::-1]
    # In some images all families share a color name.
    color_name = colors.NAMES[rng.integers(len(colors.NAMES))] if rng.random() < 0.3 else None
    background = canvas.image.reshape(-1, 3).mean(axis=0)
    remaining = MAX_OBJECTS
    for radius in radii:
        family = objects.sample_family(rng, kind, float(max(radius, 2.5)), color_name)
        if rng.random() < kind.camouflaged:
            amount = rng.uniform(0.3, 0.7)
            fill, other_fill = (fills.blend_fill(each, background, amount) for each in (family.fill, family.other_fill))
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
                if canvas.has_room(parts, own_radius, x, y):
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
