"""A rendered image with its ground truth: the objects and a label map of their parts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BACKGROUND = "area"  # shape of a background region, as phrases name it


@dataclass(frozen=True)
class SceneObject:
    """An object of a scene, or a background region.

    Attributes:
        shape: a key of OUTLINES, or BACKGROUND.
        build: how it is made of parts, a key of `objects.BUILDS`.
        ids: of its parts, as in `Scene.labels`.
        texture: of its only part; None where it has several.
        full_pixels: area without occlusion, pixels.
        stroke: width of its stroke, pixels; 0 where it has none.
    """

    shape: str
    build: str
    ids: tuple[int, ...]
    texture: str | None
    full_pixels: int
    stroke: int = 0


@dataclass(frozen=True)
class Scene:
    """A rendered image with its ground truth.

    Attributes:
        image: (h, w, 3) uint8.
        labels: (h, w) int16, id of the part that each pixel shows.
        objects: background regions first.
    """

    image: np.ndarray
    labels: np.ndarray
    objects: tuple[SceneObject, ...]

    def mask(self, ids: Iterable[int]) -> np.ndarray:
        """Mask of the visible pixels of these parts, (h, w) bool."""
        selected = np.zeros(int(self.labels.max()) + 2, bool)
        known = [id for id in ids if id < len(selected)]  # the part with the highest id may be hidden entirely
        selected[known] = True
        return selected[self.labels]
