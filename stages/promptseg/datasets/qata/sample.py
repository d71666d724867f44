"""Offline stand-in for QaTa-COV19 v2: generated chest X-rays in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.datasets.covid.film import file_stems, infected_xray
from promptseg.datasets.qata.reader import IMAGES, MASKS, VERSION

COUNTS = {"Train Set": 36, "Test Set": 22}


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
        for stem in file_stems(rng, count, 1 + 3000 * number):
            image, mask = infected_xray(rng)
            (home / IMAGES / f"{stem}.png").write_bytes(image_io.encode_png(image))
            (home / MASKS / f"mask_{stem}.png").write_bytes(image_io.encode_png(mask))
