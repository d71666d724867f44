"""Offline stand-in for Lucchi++: two generated stacks in the official layout, other stacks than those of `em`."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.em.stack import stack
from promptseg.datasets.lucchi_pp.reader import SPLITS

SLICES = 10  # per stack
SIDE = 448  # pixels
ROUND = 7  # pixels; narrower regions are removed from the mask
MEMBRANE = 1  # pixels by which the outer membrane widens the mask on each side


def write(folder: Path, seed: int) -> None:
    """Write two stacks of 10 slices, 448x448, as PNG files `{Train,Test}_{In,Out}/mask0000.png` ...

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    for number, name in enumerate(SPLITS):
        homes = [Path(folder) / f"{name}_{kind}" for kind in ("In", "Out")]
        for home in homes:
            home.mkdir(parents=True, exist_ok=True)
        for index, pair in enumerate(_slices(np.random.default_rng([seed, number, 2]), SLICES, SIDE)):
            for home, array in zip(homes, pair, strict=True):
                (home / f"mask{index:04d}.png").write_bytes(image_io.encode_png(array))


def _slices(rng: np.random.Generator, count: int, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generate a stack of slices with masks in the style of Lucchi++: (side, side) uint8, masks 0 and 255.

    Its authors traced the mitochondria of the EPFL stacks again, along the outer membrane, with outlines that change
    smoothly from slice to slice: a little wider than in the first annotation, rounder, and without its specks.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (ROUND, ROUND))
    rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MEMBRANE + 1, 2 * MEMBRANE + 1))
    for image, inside in stack(rng, count, side):
        mask = cv2.morphologyEx(inside.astype(np.uint8) * 255, cv2.MORPH_OPEN, disc)
        mask = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc), rim)
        yield image, mask
