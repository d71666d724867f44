"""What a picture's things measure: their pixels, places, colors, and how much their surface varies."""

from typing import NamedTuple

import cv2
import numpy as np

from world import colors
from world.pictures import Sample

FINE, COARSE = 1.0, 12.0  # sigmas in pixels: noise lies below the first, light above the second
RIM = 5  # pixels; a surface is measured no nearer to its edge than half of this


class Measured(NamedTuple):
    """Of one part or thing. x, y: its middle as shares of the picture; color: (3,) mean RGB in [0, 1]; texture: the
    deviation of its luma without noise and light; grain: with noise; inner: how many pixels those were taken of."""

    pixels: int
    x: float
    y: float
    color: np.ndarray
    texture: float
    grain: float
    inner: int


class Measures:
    """All that is to be summed over a picture, by part: `measures(ids)` for parts together."""

    def __init__(self, picture: Sample):
        labels, image = picture.labels, picture.image
        height, width = labels.shape
        square = np.ones((RIM, RIM), np.uint8)
        inner = (cv2.erode(labels, square) == cv2.dilate(labels, square)).astype(np.float32)
        luma = image @ (colors.LUMA / 255)
        light = cv2.GaussianBlur(luma, (0, 0), COARSE)
        smooth, raw = cv2.GaussianBlur(luma, (0, 0), FINE) - light, luma - light
        y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
        fields = [np.ones_like(luma), x / width, y / height, *np.moveaxis(image, 2, 0).astype(np.float32) / 255]
        fields += [inner * field for field in (np.ones_like(luma), smooth, smooth**2, raw, raw**2)]
        flat, least = labels.ravel(), 1 + max(max(thing.ids) for thing in picture.things)
        self._sums = np.stack([np.bincount(flat, field.ravel(), least) for field in fields], axis=1)
        self.luma = float(luma.mean())

    def __call__(self, ids) -> Measured:
        sums = self._sums[list(ids)].sum(axis=0)
        count, x, y, *color = sums[:6] / max(sums[0], 1)
        inner, smooth, smooth2, raw, raw2 = sums[6:] / max(sums[6], 1)
        deviations = (float(max(square - mean**2, 0.0) ** 0.5) for mean, square in ((smooth, smooth2), (raw, raw2)))
        return Measured(int(sums[0]), float(x), float(y), np.array(color, np.float32), *deviations, int(sums[6]))
