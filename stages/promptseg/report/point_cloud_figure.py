"""Point clouds drawn as images, from the front, slightly from the left and above."""

from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.data import depth_maps, point_clouds

SIDE = 320  # pixels
SQUARE = 9  # pixels: side of the square that a point is drawn as
TURN, TILT = 35, 25  # degrees


@dataclass(frozen=True)
class Drawing:
    """A drawn point cloud.

    Attributes:
        image: (side, side, 3) uint8, near points light, on black.
        index: (side, side) int, index of the point at each pixel, -1 where there is none.
    """

    image: np.ndarray
    index: np.ndarray

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Give each pixel the value of its point: (..., n, 2) -> (..., side, side); 0 where there is no point."""
        return np.where(self.index >= 0, values[..., 0][..., self.index], 0)


def draw(cloud: np.ndarray) -> Drawing:
    """Draw a point cloud.

    Args:
        cloud: (n, 2, 3) uint8 as `point_clouds.encode` makes it.

    Returns:
        The drawing; near points cover far ones.
    """
    points = point_clouds.decode(cloud)
    axes = _axes()
    points = points / np.abs(points @ axes.T).max()
    pixels, depth = depth_maps.project(points, axes, SIDE)
    reach = SQUARE // 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    order = np.argsort(depth, kind="stable")  # the nearest are written last
    at = np.clip(pixels[order, :, None] + np.stack([rows, columns]), 0, SIDE - 1)
    index = np.full((SIDE, SIDE), -1)
    index[at[:, 0], at[:, 1]] = order[:, None]
    nearness = (depth - depth.min()) / max(np.ptp(depth), 1e-6)
    gray = np.where(index >= 0, 80 + 175 * nearness[index], 0).astype(np.uint8)
    return Drawing(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), index)


def _axes() -> np.ndarray:
    """Unit vectors to the right, up and toward the viewer, (3, 3), after a turn about the upright axis and a tilt."""
    turn, tilt = np.radians([TURN, TILT])
    right = np.array([np.cos(turn), 0, np.sin(turn)])
    toward = np.array([-np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
    return np.stack([right, np.cross(toward, right), toward])
