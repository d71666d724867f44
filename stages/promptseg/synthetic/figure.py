"""Figures of polygons and strokes, composited into an image with light and shadow.

A figure is a list of Parts in its own coordinates: x to the right, y down, within about -1..1. Later parts cover
earlier ones.
"""

from typing import NamedTuple

import cv2
import numpy as np

Color = tuple[float, float, float]  # RGB in [0, 1]


class Part(NamedTuple):
    """A polygon or a stroke of a figure."""

    points: np.ndarray  # (n, 2)
    color: Color
    width: float = 0.0  # of a stroke, in the figure's unit; 0: a filled polygon


def oval(x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360, n: int = 36) -> np.ndarray:
    """Return (n, 2) points of an ellipse or an arc, in degrees clockwise from the right."""
    angle = np.radians(np.linspace(start, stop, n))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, float)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return points((left, top), (right, top), (right, bottom), (left, bottom))


def smooth(corners: np.ndarray, times: int = 3) -> np.ndarray:
    """Round a closed polygon by cutting its corners repeatedly (Chaikin)."""
    for _ in range(times):
        after = np.roll(corners, -1, 0)
        corners = np.stack([0.75 * corners + 0.25 * after, 0.25 * corners + 0.75 * after], 1).reshape(-1, 2)
    return corners


def transform(size: float, turn: float, place: tuple[float, float], squeeze: float = 1.0, shear: float = 0.0):
    """Return the (2, 3) matrix from figure units to pixels: squeeze in width, shear, turn by radians, scale, move."""
    c, s = np.cos(turn), np.sin(turn)
    linear = size * np.array([[c, -s], [s, c]]) @ np.array([[squeeze, shear], [0, 1]])
    return np.concatenate([linear, np.array(place, float)[:, None]], 1)


def paint(parts: list[Part], matrix: np.ndarray, h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """Render a figure: colors (h, w, 3) premultiplied by coverage, and coverage (h, w); float32 in [0, 1]."""
    canvas = np.zeros((h, w, 4), np.uint8)
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    for part in parts:
        at = np.round((part.points @ matrix[:, :2].T + matrix[:, 2]) * 16).astype(np.int32)
        color = [float(np.clip(c, 0, 1)) * 255 for c in part.color] + [255]
        if part.width:
            cv2.polylines(canvas, [at], False, color, max(1, round(part.width * scale)), cv2.LINE_AA, 4)
        else:
            cv2.fillPoly(canvas, [at], color, cv2.LINE_AA, 4)
    canvas = canvas.astype(np.float32) * (1 / 255)
    return canvas[..., :3], canvas[..., 3]


def region(cover: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of a figure with a margin, to restrict further work to them."""
    x, y, w, h = cv2.boundingRect((cover > 0).astype(np.uint8))
    return slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin)


def light(
    color: np.ndarray, cover: np.ndarray, towards: tuple[float, float], relief: float, depth: float
) -> np.ndarray:
    """Shade the colors by a light from the direction `towards` (x, y), as if the figure's edges were rounded.

    relief: how strong; depth: pixels over which an edge bends.
    """
    height = cv2.GaussianBlur(cover, (0, 0), depth)
    slope_x, slope_y = (cv2.Sobel(height, cv2.CV_32F, *d, ksize=3) * (depth / 4) for d in ((1, 0), (0, 1)))
    shade = 0.92 - relief * (slope_x * towards[0] + slope_y * towards[1])
    return color * np.clip(shade, 0.35, 1.5)[..., None]


def put(image: np.ndarray, color: np.ndarray, cover: np.ndarray) -> None:
    """Composite a rendered figure onto the image (h, w, 3) in place."""
    image *= 1 - cover[..., None]
    image += color


def shadow(image: np.ndarray, cover: np.ndarray, offset: tuple[float, float], blur: float, dark: float) -> None:
    """Darken the image in place by the shadow of a figure; offset: x, y in pixels."""
    h, w = cover.shape
    moved = cv2.warpAffine(cover, np.float32([[1, 0, offset[0]], [0, 1, offset[1]]]), (w, h))
    image *= 1 - dark * cv2.GaussianBlur(moved, (0, 0), blur)[..., None]
