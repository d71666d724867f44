"""Outlines: closed loops or strokes in the square [-1, 1], and their pixels."""

from dataclasses import dataclass

import cv2
import numpy as np

FRACTION_BITS = 4  # of coordinates, as cv2 takes them
MIN_STROKE = 2  # pixels


@dataclass(frozen=True)
class Outline:
    """Outline of a part.

    Attributes:
        loops: arrays (n, 2) of x, y; filled by the even-odd rule.
        width: of strokes along the loops, in radii, instead of the filled area; None: no strokes.
    """

    loops: tuple[np.ndarray, ...]
    width: float | None = None

    def transformed(self, matrix: np.ndarray, shift: tuple[float, float] = (0.0, 0.0)) -> "Outline":
        """Map every point p to matrix @ p + shift; a stroke keeps its width."""
        return Outline(tuple(loop @ np.asarray(matrix).T + shift for loop in self.loops), self.width)

    def stroke(self, radius: float) -> int:
        """Width of the stroke in pixels; 0 where there is none."""
        return 0 if self.width is None else max(MIN_STROKE, round(self.width * radius))


def rasterize(outline: Outline, radius: float, x: float, y: float) -> tuple[np.ndarray, int, int]:
    """Rasterize an outline, without antialiasing.

    Args:
        outline: the outline.
        radius: pixels per unit of the outline.
        x: column of the center in the image, pixels.
        y: row of the center in the image, pixels.

    Returns:
        Mask, (h, w) uint8 of 0 and 1, and the column and row of its first pixel, which may lie outside the image.
    """
    stroke = outline.stroke(radius)
    points = np.concatenate(outline.loops) * radius + (x, y)
    left, top = np.floor(points.min(axis=0)).astype(int) - stroke - 1
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + stroke + 2
    mask = np.zeros((bottom - top, right - left), np.uint8)
    # Pixel i covers [i, i + 1), and cv2 counts from the center of the first one.
    center = (x - left - 0.5, y - top - 0.5)
    loops = [np.round((loop * radius + center) * 2**FRACTION_BITS).astype(np.int32) for loop in outline.loops]
    if stroke:
        cv2.polylines(mask, loops, False, 1, stroke, cv2.LINE_8, FRACTION_BITS)
    else:
        cv2.fillPoly(mask, loops, 1, cv2.LINE_8, FRACTION_BITS)
    return mask, int(left), int(top)


def rotation(angle: float) -> np.ndarray:
    """Matrix (2, 2) of a rotation by an angle in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def arc(start: float, end: float, radius: float = 1.0, x: float = 0.0) -> np.ndarray:
    """Points (48, 2) on a circle around (x, 0), between two angles in radians."""
    angle = np.linspace(start, end, 48)
    return np.stack([x + radius * np.cos(angle), radius * np.sin(angle)], axis=1)
