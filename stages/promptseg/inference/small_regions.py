"""Small holes and islands of a mask (segment_anything's remove_small_regions)."""

import cv2
import numpy as np


def remove_small_regions(mask: np.ndarray, min_area: int) -> tuple[np.ndarray, bool]:
    """Fill small holes, then remove small islands; both are 8-connected.

    Args:
        mask: (h, w) bool.
        min_area: smaller holes and islands change, pixels. Where all islands are smaller, the largest stays.

    Returns:
        The mask, and whether it changed.
    """
    count, labels, areas = _components(~mask)
    holes = [i for i in range(1, count) if areas[i] < min_area]
    filled = mask | np.isin(labels, holes) if holes else mask
    count, labels, areas = _components(filled)
    large = [i for i in range(1, count) if areas[i] >= min_area]
    if len(large) == count - 1:
        return filled, bool(holes)
    return np.isin(labels, large or [1 + int(np.argmax(areas[1:]))]), True


def _components(mask: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of components with the background, labels, and areas in pixels."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return count, labels, statistics[:, cv2.CC_STAT_AREA]
