"""Generated chest X-rays and file names in the style of QaTa-COV19: 224x224, each with an infection."""

import cv2
import numpy as np

from promptseg.datasets.covid.xray import chest_xray

SIDE = 224  # pixels


def infected_xray(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Generate an image and its infection mask, each (SIDE, SIDE) uint8, the mask 0 and 255 and never empty."""
    while True:
        image, mask, _ = chest_xray(rng, "COVID-19")
        mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        if mask.any():
            return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), mask


def file_stems(rng: np.random.Generator, count: int, first: int) -> list[str]:
    """Generate the file names of `count` images without suffix, half of them numbered, half with a subject.

    The source collections number their images, or name subject, session and projection; every third subject has two
    images.

    Args:
        rng: random generator.
        count: number of names.
        first: numbers and subjects are in [first, first + 3000), so that two calls can have distinct subjects.
    """
    numbered = [f"covid_{n}" for n in rng.choice(np.arange(first, first + 3000), count - count // 2, replace=False)]
    named = []
    for subject in rng.choice(np.arange(first, first + 3000), count // 2, replace=False):
        session = rng.integers(6000, 30000)
        runs = 2 if subject % 3 == 0 else 1
        named += [f"sub-S{subject:05d}_ses-E{session:05d}_run-{run + 1}_bp-chest_vp-ap_dx" for run in range(runs)]
    return numbered + named[: count // 2]
