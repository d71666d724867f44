"""Offline stand-in for Cityscapes as image pairs: generated street scenes in the layout of the Kaggle archive."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.datasets.cityscapes.scene import STYLES, street_scene
from promptseg.datasets.cityscapes_pairs.reader import COLORS, HOME, SIDE

COUNTS = {"train": 32, "val": 20}


def write(folder: Path, seed: int) -> None:
    """Write 52 JPEG files, 512x256, a photo beside its color mask, in `cityscapes_data/{train,val}`.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    palette = np.zeros((256, 3), np.uint8)
    palette[list(COLORS)] = list(COLORS.values())
    styles = list(STYLES.values())
    for split, count in COUNTS.items():
        home = Path(folder) / HOME / split
        home.mkdir(parents=True)
        for n in range(count):
            photo, ids = street_scene(rng, styles[n % len(styles)])
            photo = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            colors = palette[cv2.resize(ids, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)]
            pair = np.hstack([photo, colors])[..., ::-1]
            _, data = cv2.imencode(".jpg", pair, [cv2.IMWRITE_JPEG_QUALITY, 85])
            (home / f"{n + 1}.jpg").write_bytes(data.tobytes())
