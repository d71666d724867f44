"""Draw slices of tissue as `parts/em` does, with mitochondria marked as the authors of Lucchi++ mark them.

They drew the outlines of the same stacks again, along the outer membrane, and made them change smoothly from slice to
slice: a little wider than the first annotation, rounder, and without its specks.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from promptseg.datasets.em.stack import stack

ROUND = 7  # pixels: what is narrower is no mitochondrion
MEMBRANE = 1  # pixels that the outer membrane adds to each side


def slices(rng: np.random.Generator, count: int, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image and mask of each slice: (side, side) uint8, masks 0 / 255."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (ROUND, ROUND))
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MEMBRANE + 1, 2 * MEMBRANE + 1))
    for image, inside in stack(rng, count, side):
        mask = cv2.morphologyEx(inside.astype(np.uint8) * 255, cv2.MORPH_OPEN, disc)
        mask = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc), rim)
        yield image, mask
