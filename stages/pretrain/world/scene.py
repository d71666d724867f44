"""Scenes: what the images of a kind are composed of, and a rendered image with its ground truth."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from world.outlines import OUTLINES, ROUND, STRANDS

BACKGROUND = "area"  # shape of a background region, as phrases name it


@dataclass(frozen=True)
class Kind:
    """Composition of the images of a kind; pairs are ranges."""

    gray: float = 0.4  # share of images without color
    contrast: tuple[float, float] = (0.45, 1.0)
    noise: tuple[float, float] = (0.0, 0.12)  # standard deviation, as a share of the contrast
    max_edge_blur: float = 2.0  # sigma of objects' edges, pixels
    max_backgrounds: int = 4  # regions
    shapes: tuple[str, ...] = (*OUTLINES, *ROUND)  # a shape that is listed twice is twice as likely
    radii: tuple[float, float] = (0.025, 0.45)  # of objects, as shares of the image's shorter side
    stroke_scale: tuple[float, float] = (0.7, 1.6)  # factor of strokes' widths
    composite: float = 0.35  # share of families whose objects have several parts
    camouflaged: float = 0.2  # share of families and regions whose color is close to the background's
    textured: bool = True  # whether surfaces may have a texture


# The position of a kind seeds its images (rendering.py): add new ones at the end.
KINDS = {
    "general": Kind(),
    # Gray, low in contrast, blurred and noisy, as in medical imaging.
    "faint": Kind(gray=1.0, contrast=(0.15, 0.5), noise=(0.06, 0.22), max_edge_blur=4.0, radii=(0.04, 0.4),
                  composite=0.25, camouflaged=0.3),
    # Thin and ragged objects, most of whose pixels lie at their boundary.
    "fine": Kind(shapes=(*STRANDS, "ring", "star", "cross", "crescent", "blob"), noise=(0.0, 0.05), max_edge_blur=0.5,
                 radii=(0.08, 0.45), stroke_scale=(0.4, 0.9), composite=0.15, camouflaged=0.1),
    # Few and large objects in saturated colors: the first epochs of a curriculum.
    "flat": Kind(gray=0.0, contrast=(0.9, 1.0), noise=(0.0, 0.01), max_edge_blur=0.3, max_backgrounds=5,
                 radii=(0.25, 0.5), composite=0.0, camouflaged=0.0, textured=False),
    # Objects of all shapes without textures: the next epochs.
    "plain": Kind(gray=0.2, contrast=(0.8, 1.0), noise=(0.0, 0.02), max_edge_blur=0.5, max_backgrounds=3,
                  radii=(0.1, 0.45), composite=0.2, camouflaged=0.0, textured=False),
}  # fmt: skip


@dataclass(frozen=True)
class SceneObject:
    """An object of a scene, or a background region."""

    shape: str  # a key of OUTLINES, or BACKGROUND
    build: str  # how it is made of parts, a key of `objects.BUILDS`
    ids: tuple[int, ...]  # of its parts, as in `Scene.labels`
    texture: str | None  # of its only part; None where it has several
    full_pixels: int  # area without occlusion
    stroke: int = 0  # width of its stroke, pixels; 0 where it has none


@dataclass(frozen=True)
class Scene:
    """A rendered image with its ground truth."""

    image: np.ndarray  # (h, w, 3) uint8
    labels: np.ndarray  # (h, w) int16, id of the part that each pixel shows
    objects: tuple[SceneObject, ...]  # background regions first

    @property
    def parts(self) -> int:
        """Number of parts, also of those that are hidden entirely."""
        return 1 + max(max(each.ids) for each in self.objects)

    def mask(self, ids: Iterable[int]) -> np.ndarray:
        """Mask of the visible pixels of these parts, (h, w) bool."""
        return np.isin(self.labels, list(ids))
