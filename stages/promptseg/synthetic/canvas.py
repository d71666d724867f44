"""An image under construction: surfaces in front of each other, and the label that each pixel shows."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from promptseg.synthetic.noise import noise, smooth
from promptseg.synthetic.outlines import Outline, rasterize

Surface = Callable[[int, int], np.ndarray]  # height, width -> (height, width, 3) float32 RGB, 1 is white


class Canvas:
    """An image under construction.

    Attributes:
        rng: random generator.
        height: pixels.
        width: pixels.
        image: (height, width, 3) float32 RGB, 1 is white.
        labels: (height, width) int16.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self.rng, self.height, self.width = rng, height, width
        self.image = np.zeros((height, width, 3), np.float32)
        self.labels = np.zeros((height, width), np.int16)

    def cover(self, mask: np.ndarray, surface: Surface, label: int) -> None:
        """Paint a region of the background. mask: (height, width) bool."""
        np.copyto(self.image, surface(self.height, self.width), where=mask[..., None])
        self.labels[mask] = label

    def paint(
        self, outline: Outline, radius: float, center: tuple[float, float], surface: Surface, label: int,
        edge_blur: float = 0.0, opacity: float = 1.0,
    ) -> int:  # fmt: skip
        """Paint a part over the image.

        Args:
            outline: of the part.
            radius: pixels per unit of the outline.
            center: x, y in pixels.
            surface: of the part.
            label: of its pixels.
            edge_blur: sigma of the edge, pixels.
            opacity: in [0, 1].

        Returns:
            Number of its pixels, those outside the canvas included.
        """
        mask, left, top = rasterize(outline, radius, *center)
        rows, columns, inside = self.window(mask, left, top)
        if inside.size:
            alpha = inside.astype(np.float32)
            if edge_blur > 0.3:
                alpha = cv2.GaussianBlur(alpha, (0, 0), edge_blur)
            window = self.image[rows, columns]
            window += (surface(*inside.shape) - window) * (opacity * alpha)[..., None]
            self.labels[rows, columns][inside > 0] = label
        return int(np.count_nonzero(mask))

    def shade(self, outline: Outline, radius: float, center: tuple[float, float], blur: float, dark: float) -> None:
        """Darken the image under an outline as its shadow does. blur: sigma, pixels; dark: share of the light."""
        mask, left, top = rasterize(outline, radius, *center)
        margin = round(3 * blur)
        mask = cv2.GaussianBlur(np.pad(mask, margin).astype(np.float32), (0, 0), blur)
        rows, columns, inside = self.window(mask, left - margin, top - margin)
        self.image[rows, columns] *= 1 - dark * inside[..., None]

    def window(self, mask: np.ndarray, left: int, top: int) -> tuple[slice, slice, np.ndarray]:
        """Rows and columns of the canvas under a mask, and the part of the mask on the canvas."""
        rows = slice(max(top, 0), max(min(top + mask.shape[0], self.height), 0))
        columns = slice(max(left, 0), max(min(left + mask.shape[1], self.width), 0))
        inside = mask[rows.start - top : max(rows.stop - top, 0), columns.start - left : max(columns.stop - left, 0)]
        return rows, columns, inside

    def photograph(self, grain: float = 0.015) -> np.ndarray:
        """Apply uneven light, a tint, blur and noise; (height, width, 3) uint8. grain: deviation of the noise."""
        rng, shape = self.rng, (self.height, self.width)
        light = 0.75 + 0.4 * smooth(rng, *shape, 0.9 * self.width)
        tint = 1 + rng.normal(0, 0.04, 3).astype(np.float32)
        seen = cv2.GaussianBlur(self.image, (0, 0), rng.uniform(0.4, 0.9)) * light[..., None] * tint
        seen = seen * rng.uniform(0.85, 1.15) + rng.normal(0, grain, (*shape, 1)).astype(np.float32)
        return np.clip(seen * 255 + 0.5, 0, 255).astype(np.uint8)


def plain(rng: np.random.Generator, color: ArrayLike, wear: float = 0.3) -> Surface:
    """Return a surface of one color, lit from one side, with stains. color: (3,) in [0, 1]; wear: their contrast."""
    slope = rng.uniform(-0.35, 0.35, 2).astype(np.float32)

    def surface(h: int, w: int) -> np.ndarray:
        y, x = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)
        shade = 1 + slope[0] * x + slope[1] * y + wear * (noise(rng, h, w, max(0.3 * w, 3), 2) - 0.5)
        return (np.asarray(color, np.float32) * shade[..., None]).astype(np.float32)

    return surface
