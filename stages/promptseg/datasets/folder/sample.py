"""Offline stand-in for a user's own images: rendered leaves with spots, in the default layout."""

from pathlib import Path

import numpy as np

from promptseg.datasets.folder.photo import photos


def write(folder: Path, seed: int) -> None:
    """Write 45 images of leaves with spots, three per plant, in the layout of the default options.

    The layout is images/plant<number>_<view>.jpg (some .png), masks/<name>.png with the spots as 255, and
    labels/<name>.png with leaf and spot in colors, for `masks: "labels/{name}.png"` and
    `classes: {leaf: "#3c8c3c", spot: "#b4501e"}`. `group: "(plant[0-9]+)_"` groups the images by plant.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    for path, data in photos(np.random.default_rng(seed)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
