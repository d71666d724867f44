"""Generated electron micrographs with masks in the style of Lucchi++.

The authors of Lucchi++ traced the mitochondria of the EPFL stacks again, along the outer membrane, with outlines that
change smoothly from slice to slice: a little wider than in the first annotation, rounder, and without its specks.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from promptseg.datasets.em.stack import stack

ROUND = 7  # pixels; narrower regions are removed from the mask
MEMBRANE = 1  # pixels by which the outer membrane widens the mask on each side


def slices(rng: np.random.Generator, count: int, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generate a stack of slices with masks.

    Args:
        rng: random generator.
        count: number of slices.
        side: width and height in pixels.

    Yields:
        Image and mask of each slice, (side, side) uint8, masks 0 and 255.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (ROUND, ROUND))
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MEMBRANE + 1, 2 * MEMBRANE + 1))
    for image, inside in stack(rng, count, side):
        mask = cv2.morphologyEx(inside.astype(np.uint8) * 255, cv2.MORPH_OPEN, disc)
        mask = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc), rim)
        yield image, mask
