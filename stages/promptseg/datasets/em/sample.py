"""Offline stand-in for EPFL Electron Microscopy: two generated stacks in the official layout."""

from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.files import replacing
from promptseg.datasets.em.reader import SPLITS
from promptseg.datasets.em.stack import stack

SLICES = {"training": 12, "testing": 25}  # 25: five blocks, the fewest groups that an interval needs
SIDE = 512  # pixels


def write(folder: Path, seed: int) -> None:
    """Write a training stack of 12 slices and a testing stack of 25, 512x512, as zlib-compressed multi-page TIFF.

    The files are training.tif, training_groundtruth.tif, testing.tif and testing_groundtruth.tif, directly in `folder`.
    Each stack has cells of its own, which change slowly from slice to slice.

    Args:
        folder: folder to write to.
        seed: random seed; the same seed gives the same bytes.
    """
    for number, name in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        with (
            replacing(Path(folder) / f"{name}.tif") as image_aside,
            replacing(Path(folder) / f"{name}_groundtruth.tif") as mask_aside,
            tifffile.TiffWriter(image_aside) as images,
            tifffile.TiffWriter(mask_aside) as masks,
        ):
            for image, mask in stack(rng, SLICES[name], SIDE):
                _write_page(images, image)
                _write_page(masks, mask.astype(np.uint8) * 255)


def _write_page(writer: tifffile.TiffWriter, page: np.ndarray) -> None:
    """Append a gray page without a time stamp or a program name, which would change the bytes."""
    writer.write(page, photometric="minisblack", compression="zlib", predictor=True, metadata=None, software=False)
