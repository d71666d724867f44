"""Offline stand-in for Lucchi++: two generated stacks in the official layout, other stacks than those of `em`."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.datasets.em.annotation import slices
from promptseg.datasets.lucchi_pp.reader import SPLITS

SLICES = 10  # per stack
SIDE = 448  # pixels


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
        for index, pair in enumerate(slices(np.random.default_rng([seed, number, 2]), SLICES, SIDE)):
            for home, array in zip(homes, pair, strict=True):
                (home / f"mask{index:04d}.png").write_bytes(image_io.encode_png(array))
