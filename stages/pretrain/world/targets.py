"""What may be pointed at in a picture: things, their parts, and grounds, where one can see that they are there."""

import cv2
import numpy as np

from world.pictures import Sample

LEAST, SHARE = 30, 0.0008  # pixels, and the share of the picture, that a target has at least
BAND = 5  # pixels on both sides of an edge, to see it by
DIFFERENCE = 0.03  # of the means in any channel, or of the deviations, on both sides


def targets(rng: np.random.Generator, picture: Sample, count: int) -> list[np.ndarray]:
    """`count` masks (h, w) bool, some more than once where there are few; none where nothing can be seen.

    Each kind of thing is as likely as any other, however many there are of it; so are a thing and one of its parts.
    """
    counts = np.bincount(picture.labels.ravel(), minlength=1 + max(max(thing.ids) for thing in picture.things))
    least = max(LEAST, SHARE * picture.labels.size)
    kinds: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for thing in picture.things:
        levels = [thing.ids, *((id,) for id in thing.ids if len(thing.ids) > 1)]
        for ids in levels:
            level = "whole" if ids == thing.ids else "part"
            if counts[list(ids)].sum() >= least:
                kinds.setdefault((thing.shape, level), []).append(ids)
    seen: dict[tuple[int, ...], np.ndarray | None] = {}
    chosen = []
    names = list(kinds)
    for _ in range(6 * count if names else 0):
        among = kinds[names[rng.integers(len(names))]]
        ids = among[rng.integers(len(among))]
        if ids not in seen:
            mask = picture.mask(ids)
            seen[ids] = mask if visible(picture.image, mask) else None
        if seen[ids] is not None:
            chosen.append(seen[ids])
        if len(chosen) == count:
            return chosen
    return [chosen[i % len(chosen)] for i in range(count)] if chosen else []


def visible(image: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a mask (h, w) bool has an edge that shows in the picture (h, w, 3) uint8: the bands on its two sides
    differ in their mean color, or in how much they vary."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    window = np.s_[max(y - BAND, 0) : y + height + BAND, max(x - BAND, 0) : x + width + BAND]
    inside, square = np.ascontiguousarray(mask[window]).view(np.uint8), np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
    within = (inside > 0) & (cv2.erode(inside, square, borderValue=1) == 0)
    around = (cv2.dilate(inside, square, borderValue=0) > 0) & (inside == 0)
    if not within.any() or not around.any():
        return False
    one, other = (image[window][band].astype(np.float32) / 255 for band in (within, around))
    apart = max(np.abs(one.mean(axis=0) - other.mean(axis=0)).max(), np.abs(one.std(axis=0) - other.std(axis=0)).max())
    return bool(apart >= DIFFERENCE)
