"""Chest X-rays as QaTa-COV19 has them: 224x224, each with an infection; and names as its files have them."""

import cv2
import numpy as np

from promptseg.datasets.covid.xray import chest_xray

SIDE = 224  # pixels


def infected(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw picture and infection mask, each (SIDE, SIDE) uint8, the mask 0 / 255 and never empty."""
    while True:
        image, mask, _ = chest_xray(rng, "COVID-19")
        mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        if mask.any():
            return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), mask


def names(rng: np.random.Generator, count: int, first: int) -> list[str]:
    """File names of `count` pictures without their endings: half of them numbered, half with a subject.

    The source collections number their pictures, or name subject, session and projection; every third of the subjects
    was taken twice. first: numbers begin there and end 3000 later, so that two calls need not share a subject.
    """
    numbered = [f"covid_{n}" for n in rng.choice(np.arange(first, first + 3000), count - count // 2, replace=False)]
    named = []
    for subject in rng.choice(np.arange(first, first + 3000), count // 2, replace=False):
        session = rng.integers(6000, 30000)
        runs = 2 if subject % 3 == 0 else 1
        named += [f"sub-S{subject:05d}_ses-E{session:05d}_run-{run + 1}_bp-chest_vp-ap_dx" for run in range(runs)]
    return numbered + named[: count // 2]
