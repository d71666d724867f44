"""Offline stand-in for QaTa-COV19 v2: generated chest X-rays in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.covid.xray import chest_xray
from promptseg.datasets.qata.reader import IMAGES, MASKS, VERSION

COUNTS = {"Train Set": 36, "Test Set": 22}
SIDE = 224  # pixels


def write(folder: Path, seed: int) -> None:
    """Write 58 X-rays with their infection masks, 224x224, in `QaTa-COV19-v2/{Train Set,Test Set}`.

    No subject is in both sets.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng([seed, 19])
    for number, (name, count) in enumerate(COUNTS.items()):
        home = Path(folder) / VERSION / name
        for part in (IMAGES, MASKS):
            (home / part).mkdir(parents=True, exist_ok=True)
        for stem in _file_stems(rng, count, 1 + 3000 * number):
            image, mask = _infected_xray(rng)
            (home / IMAGES / f"{stem}.png").write_bytes(image_io.encode_png(image))
            (home / MASKS / f"mask_{stem}.png").write_bytes(image_io.encode_png(mask))


def _infected_xray(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Generate an image and its infection mask, each (SIDE, SIDE) uint8, the mask 0 and 255 and never empty."""
    while True:
        image, mask, _ = chest_xray(rng, "COVID-19")
        mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        if mask.any():
            return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), mask


def _file_stems(rng: np.random.Generator, count: int, first: int) -> list[str]:
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
