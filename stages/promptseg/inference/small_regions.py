"""Small holes and islands of a mask, filled and removed (segment_anything's remove_small_regions)."""

import cv2
import numpy as np


def remove_small_regions(mask: np.ndarray, area: int) -> tuple[np.ndarray, bool]:
    """The mask, bool (h, w), without holes and then without islands of less than `area` pixels; whether it changed.

    Both are 8-connected. Where all islands are small, the largest stays.
    """
    count, regions, sizes = _regions(~mask)
    holes = [i for i in range(1, count) if sizes[i] < area]
    filled = mask | np.isin(regions, holes) if holes else mask
    count, regions, sizes = _regions(filled)
    large = [i for i in range(1, count) if sizes[i] >= area]
    if len(large) == count - 1:
        return filled, bool(holes)
    return np.isin(regions, large or [1 + int(np.argmax(sizes[1:]))]), True


def _regions(mask: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    count, regions, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return count, regions, statistics[:, cv2.CC_STAT_AREA]
