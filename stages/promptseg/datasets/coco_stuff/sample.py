"""Offline stand-in for COCO-Stuff: rendered landscapes, streets and rooms in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.coco_stuff.places import draw
from promptseg.datasets.coco_stuff.reader import CLASSES, MAPS

COUNTS = {"train2017": 44, "val2017": 22}


def write(folder: Path, seed: int) -> None:
    """Write 44 training and 22 test images, 256x192, of beaches, meadows, streets, lakes, snow and rooms.

    The layout is {train2017,val2017}/<12 digits>.jpg and
    stuffthingmaps_trainval2017/{train2017,val2017}/<12 digits>.png; one image of each split is gray.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    for split, count in COUNTS.items():
        home, maps = folder / split, folder / MAPS / split
        home.mkdir(parents=True, exist_ok=True)
        maps.mkdir(parents=True, exist_ok=True)
        for index, number in enumerate(sorted(rng.choice(np.arange(1, 582000), count, replace=False))):
            image, labels = draw(rng, index, {name: value for value, name in enumerate(CLASSES)})
            if index == 5:  # as a few official images, saved as gray
                image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            bgr = image[..., ::-1] if image.ndim == 3 else image
            jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            (home / f"{number:012d}.jpg").write_bytes(jpeg.tobytes())
            (maps / f"{number:012d}.png").write_bytes(image_io.encode_png(labels))
