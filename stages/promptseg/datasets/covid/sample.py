"""Offline stand-in for COVID-QU-Ex: generated chest X-rays in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.datasets.covid.reader import IMAGES, KINDS, LUNGS, MASKS, SUBSET
from promptseg.datasets.covid.xray import chest_xray

COUNTS = {"Train": (24, 4, 4), "Val": (8, 1, 1), "Test": (20, 2, 2)}  # images of each kind
NAMES = ("covid_{}", "non_COVID ({})", "Normal ({})")  # of each kind


def write(folder: Path, seed: int) -> None:
    """Write 66 X-rays with their infection and lung masks, 256x256, in the nested folders of the official archive.

    The numbers in the file names are random.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for split, counts in COUNTS.items():
        for kind, pattern, count in zip(KINDS, NAMES, counts, strict=True):
            home = folder / SUBSET / SUBSET / split / kind
            for part in (IMAGES, MASKS, LUNGS):
                (home / part).mkdir(parents=True, exist_ok=True)
            for index, number in enumerate(sorted(rng.choice(np.arange(1, 3000), count, replace=False))):
                name = pattern.format(number) + ".png"
                if (split, kind, index) == ("Train", "Non-COVID", 0):
                    name = name.replace("non_", "Non_")  # the second spelling in the official data
                for part, array in zip((IMAGES, MASKS, LUNGS), chest_xray(rng, kind), strict=True):
                    (home / part / name).write_bytes(image_io.encode_png(array))
