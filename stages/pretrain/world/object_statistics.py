"""Statistics of the visible pixels of objects: area, centroid, color, and variation of the surface."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from world import colors
from world.scene import Scene

FINE, COARSE = 1.0, 12.0  # sigmas in pixels: noise is finer than the first, shading coarser than the second
MARGIN = 5  # pixels; surfaces are measured at least half of this away from their boundary


class Statistics(NamedTuple):
    """Statistics of a part or an object.

    Attributes:
        pixels: number of visible pixels.
        x, y: centroid, as shares of the image's width and height.
        color: (3,) mean RGB in [0, 1].
        texture: standard deviation of luma, without noise and shading.
        grain: the same with noise.
        inner: number of pixels that the deviations are of.
    """

    pixels: int
    x: float
    y: float
    color: np.ndarray
    texture: float
    grain: float
    inner: int


class SceneStatistics:
    """Sums over a scene by part.

    Attributes:
        luma: mean of the image, in [0, 1].
    """

    def __init__(self, scene: Scene):
        labels, image = scene.labels, scene.image
        height, width = labels.shape
        square = np.ones((MARGIN, MARGIN), np.uint8)
        inner = (cv2.erode(labels, square) == cv2.dilate(labels, square)).astype(np.float32)
        luma = image @ (colors.LUMA / 255)
        shading = cv2.GaussianBlur(luma, (0, 0), COARSE)
        smooth, raw = cv2.GaussianBlur(luma, (0, 0), FINE) - shading, luma - shading
        y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
        fields = [np.ones_like(luma), x / width, y / height, *np.moveaxis(image, 2, 0).astype(np.float32) / 255]
        fields += [inner * field for field in (np.ones_like(luma), smooth, smooth**2, raw, raw**2)]
        flat, count = labels.ravel(), 1 + max(max(each.ids) for each in scene.objects)
        self._sums = np.stack([np.bincount(flat, field.ravel(), count) for field in fields], axis=1)
        self.luma = float(luma.mean())

    def of(self, ids: Iterable[int]) -> Statistics:
        """Compute the statistics of the union of some parts."""
        sums = self._sums[list(ids)].sum(axis=0)
        _, x, y, *color = sums[:6] / max(sums[0], 1)
        _, smooth, smooth2, raw, raw2 = sums[6:] / max(sums[6], 1)
        deviations = (float(max(square - mean**2, 0.0) ** 0.5) for mean, square in ((smooth, smooth2), (raw, raw2)))
        return Statistics(int(sums[0]), float(x), float(y), np.array(color, np.float32), *deviations, int(sums[6]))
