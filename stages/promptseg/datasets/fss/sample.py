"""Offline stand-in for FSS-1000: rendered everyday objects in the official layout."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.data import image_io
from promptseg.datasets.fss.reader import FOLDER, LIST
from promptseg.datasets.fss.scene import draw
from promptseg.synthetic.shapes import FIGURES

TEST_CLASSES = ("bucket", "coffee_mug", "fish", "guitar", "key", "wooden_spoon")  # all are in the official list
IMAGES_PER_CLASS = 6


def write(folder: Path, seed: int) -> None:
    """Write 96 images of 16 classes, 224x224, with masks in the three encodings of the official files.

    The layout is fewshot_data/<class>/<number>.jpg and .png, and fss_test_set.txt with 6 of the classes.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(FIGURES):
        home = folder / FOLDER / name
        home.mkdir(parents=True)
        for index, number in enumerate(sorted(rng.choice(np.arange(1, 11), IMAGES_PER_CLASS, replace=False))):
            image, coverage = draw(rng, name)
            (home / f"{number}.jpg").write_bytes(_jpeg(image))
            (home / f"{number}.png").write_bytes(_encode_mask(coverage, index % 3))
    (folder / LIST).write_bytes("\r\n".join(TEST_CLASSES).encode("ascii"))


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _encode_mask(coverage: np.ndarray, encoding: int) -> bytes:
    """Encode (h, w) uint8 coverage as PNG: noisy RGBA with soft edges, RGB of 0 and 1, or gray of 0 and 255."""
    if encoding == 0:
        channels = [np.clip(coverage, 4, 251), coverage, coverage, np.full_like(coverage, 255)]
        return cv2.imencode(".png", np.dstack(channels))[1].tobytes()
    hard = (coverage > 127).astype(np.uint8)
    return image_io.encode_png(np.dstack([hard] * 3) if encoding == 1 else hard * 255)
