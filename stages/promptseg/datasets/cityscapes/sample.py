"""Offline stand-in for Cityscapes: generated street scenes of invented cities in the official layout."""

from pathlib import Path

import numpy as np

from promptseg.data import image_io
from promptseg.datasets.cityscapes.reader import IMAGES, MASKS
from promptseg.datasets.cityscapes.scene import STYLES, street_scene

CITIES = {  # official split: city: name of its style
    "train": {"altenau": "old town", "blumfeld": "blocks", "cronbach": "suburb", "dornsee": "blocks"},
    "val": {
        "eichwalde": "brick",
        "fernheim": "suburb",
        "gerlingen": "brick",
        "hohenau": "suburb",
        "isenburg": "brick",
        "jahnsdorf": "suburb",
    },
}
IMAGES_PER_CITY = {"train": 7, "val": 2}
STEP = 6  # between the values of a channel: hidden by the noise, and makes the PNG small


def write(folder: Path, seed: int) -> None:
    """Write 40 street scenes of ten cities with their label ids, 512x256, in `leftImg8bit` and `gtFine`.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for split, cities in CITIES.items():
        for city, style in cities.items():
            homes = [Path(folder) / part / split / city for part, _ in (IMAGES, MASKS)]
            for home in homes:
                home.mkdir(parents=True)
            for number in range(IMAGES_PER_CITY[split]):
                image, labels = street_scene(rng, STYLES[style])
                arrays = (image // STEP * STEP, labels)
                stem = f"{city}_{number:06d}_000019"
                for home, (_, suffix), array in zip(homes, (IMAGES, MASKS), arrays, strict=True):
                    (home / f"{stem}{suffix}").write_bytes(image_io.encode_png(array))
