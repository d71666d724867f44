"""Offline stand-in for Cityscapes: generated street scenes of invented cities in the official layout."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from promptseg.datasets.cityscapes.reader import IMAGES, MASKS
from promptseg.datasets.cityscapes.scene import STYLES, street_scene

CITIES = {  # official split: city: name of its style
    "train": {"altenau": "old town", "blumfeld": "blocks", "cronbach": "suburb", "dornsee": "new"},
    "val": {"eichwalde": "brick", "fernheim": "blocks"},
}
IMAGES_PER_CITY = {"train": 7, "val": 8}


def write(folder: Path, seed: int) -> None:
    """Write 44 street scenes of six cities with their label ids, 512x256, in `leftImg8bit` and `gtFine`.

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
                scene = street_scene(rng, STYLES[style])
                stem = f"{city}_{number:06d}_000019"
                for home, (_, suffix), array in zip(homes, (IMAGES, MASKS), scene, strict=True):
                    (home / f"{stem}{suffix}").write_bytes(_png(array))


def _png(array: np.ndarray) -> bytes:
    """Encode as PNG, smaller and slower than `image_io.encode_png`, since the sample is stored in a user's project."""
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG", compress_level=5)
    return data.getvalue()
