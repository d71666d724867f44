"""Target masks for point and box prompts: objects, their parts, and background regions, where they are visible."""

import cv2
import numpy as np

from world.scene import Scene

MIN_PIXELS, MIN_AREA = 30, 0.0008  # smallest target: pixels, and share of the image
BAND = 5  # pixels on both sides of the boundary that are compared
MIN_DIFFERENCE = 0.03  # between both sides, of a channel's mean or standard deviation, in [0, 1]
TRIES = 6  # per target


def sample_targets(rng: np.random.Generator, scene: Scene, count: int) -> list[np.ndarray]:
    """Sample target masks from a scene.

    Each shape is as likely as any other, whatever the number of its objects; so are an object and one of its parts.

    Args:
        rng: random generator.
        scene: the scene.
        count: number of masks.

    Returns:
        `count` masks, (h, w) bool, which repeat where there are few; empty where no object is visible.
    """
    counts = np.bincount(scene.labels.ravel(), minlength=1 + max(max(each.ids) for each in scene.objects))
    min_pixels = max(MIN_PIXELS, MIN_AREA * scene.labels.size)
    groups: dict[tuple[str, bool], list[tuple[int, ...]]] = {}
    for each in scene.objects:
        for ids in [each.ids, *((id,) for id in each.ids if len(each.ids) > 1)]:
            if counts[list(ids)].sum() >= min_pixels:
                groups.setdefault((each.shape, ids == each.ids), []).append(ids)
    masks: dict[tuple[int, ...], np.ndarray | None] = {}
    targets = []
    names = list(groups)
    for _ in range(TRIES * count if names else 0):
        group = groups[names[rng.integers(len(names))]]
        ids = group[rng.integers(len(group))]
        if ids not in masks:
            mask = scene.mask(ids)
            masks[ids] = mask if is_visible(scene.image, mask) else None
        if masks[ids] is not None:
            targets.append(masks[ids])
        if len(targets) == count:
            return targets
    return [targets[i % len(targets)] for i in range(count)] if targets else []


def is_visible(image: np.ndarray, mask: np.ndarray) -> bool:
    """Test whether the boundary of a mask is visible in the image.

    It is where the bands on its two sides differ in their mean color or in its standard deviation.

    Args:
        image: (h, w, 3) uint8.
        mask: (h, w) bool.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = np.s_[max(y - BAND, 0) : y + height + BAND, max(x - BAND, 0) : x + width + BAND]
    inside, square = np.ascontiguousarray(mask[window]).view(np.uint8), np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    inner_band = (inside > 0) & (cv2.erode(inside, square, borderValue=1) == 0)
    outer_band = (cv2.dilate(inside, square, borderValue=0) > 0) & (inside == 0)
    if not inner_band.any() or not outer_band.any():
        return False
    inner, outer = (image[window][band].astype(np.float32) / 255 for band in (inner_band, outer_band))
    difference = max(
        np.abs(inner.mean(axis=0) - outer.mean(axis=0)).max(), np.abs(inner.std(axis=0) - outer.std(axis=0)).max()
    )
    return bool(difference >= MIN_DIFFERENCE)
