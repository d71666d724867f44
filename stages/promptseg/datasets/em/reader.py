"""EPFL Electron Microscopy: mitochondria in the CA1 hippocampus, two stacks of 165 slices, 1024x768, 5 nm per voxel.

Layout, four multi-page TIFF files in the given folder or in one folder below it, gray uint8, masks 0 and 255:
    training.tif  training_groundtruth.tif
    testing.tif   testing_groundtruth.tif

Traps:
- The stacks are the upper and the lower half of one volume, so the official split holds. `volumedata.tif`, the volume
  without annotation, is not needed.
- Neighboring slices are 5 nm apart and nearly duplicates: their images correlate by 0.36, and their masks overlap by an
  IoU of 0.58; 3 slices apart it is 0.14 and 0.18, and 6 slices apart 0.05 and 0.04, about as much as of any two slices
  (0.00 and 0.03). So a block of 5 consecutive slices is one group, and a block between training and validation is left
  out.
- Blocks of one stack are still of one animal, and many share an organelle with the next one, so an interval over them
  says how scores vary within one volume, and nothing about other volumes. GROUP_UNIT says so beside every interval.
- Lucchi++ annotates the same stacks again and is a dataset of its own (`lucchi_pp`). The two are never mixed.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data.image_io import map_labels
from promptseg.data.tiff_stack import Stack, check_same_shape
from promptseg.datasets import Sample
from promptseg.download.http import fetch

TITLE = "EPFL Electron Microscopy (CA1 hippocampus, mitochondria)"
LICENCE = "none stated; published by EPFL CVLab for research, to be cited"
CITATION = (
    "A. Lucchi, Y. Li and P. Fua, Learning for Structured Prediction Using Approximate Subgradient Descent with "
    "Working Sets, CVPR 2013; data by G. Knott and M. Cantoni, EPFL"
)
ACCESS = "automatic"
CLASSES = ("mitochondrion",)
SPLIT_SIZES = {"train": 165, "test": 165}  # slices
ORDERED_GROUPS = True  # neighboring blocks are alike, so the validation split is cut off at the end of the stack
GROUP_UNIT = "block of 5 slices within one volume"

# The %20 is part of the address. No checksum is published; the size is the one that another client lists.
BASE_URL = "https://documents.epfl.ch/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus/"
FILE_SIZE = 129_919_357  # bytes
SPLITS = {"training": "train", "testing": "test"}
BLOCK = 5  # slices per group
LABELS = {0: 0, 255: 1}


def download(folder: Path) -> None:
    """Download the four files (520 MB) from EPFL and verify them.

    A file of another size than the listed one is reported on stderr but accepted, since no checksum is published.

    Args:
        folder: folder to download into.

    Raises:
        UserError: if a file cannot be downloaded, or is not what it should be.
    """
    for name in SPLITS:
        for file in _stack_files(Path(folder), name):
            fetch(BASE_URL + file.name, file, size=FILE_SIZE)
    verify(folder)


def verify(folder: Path) -> None:
    """Check that both stacks exist and pair slice by slice, and decode their first and last slices.

    Args:
        folder: folder with the four files, or the parent of that folder.

    Raises:
        UserError: naming the first file that is missing, damaged or does not match its mask.
    """
    for image, mask in _open_stacks(folder).values():
        for index in sorted({0, len(image) - 1}):
            image[index]
            _read_mask(mask, index)


def read(folder: Path) -> Iterator[Sample]:
    """Read the slices in the order of the stacks, training first.

    Args:
        folder: folder with the four files, or the parent of that folder.

    Yields:
        A sample per slice: id `training/007` (counted from 0), group `training/b001`, image and mask (h, w) uint8.

    Raises:
        UserError: at the call, if a file is missing, damaged or does not match its mask.
    """
    stacks = _open_stacks(folder)
    return (
        Sample(
            id=f"{name}/{i:03d}",
            split=SPLITS[name],
            group=f"{name}/b{i // BLOCK:03d}",
            image=partial(image.__getitem__, i),
            mask=partial(_read_mask, mask, i),
        )
        for name, (image, mask) in stacks.items()
        for i in range(len(image))
    )


def _stack_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the paths of a stack's images and of its masks."""
    return folder / f"{name}.tif", folder / f"{name}_groundtruth.tif"


def _find_root(folder: Path) -> Path:
    """Return the folder itself, or its only subfolder with the files, as an archive may have it."""
    below = [path for path in sorted(folder.iterdir()) if (path / "training.tif").is_file()] if folder.is_dir() else []
    return below[0] if len(below) == 1 and not (folder / "training.tif").is_file() else folder


def _open_stacks(folder: Path) -> dict[str, tuple[Stack, Stack]]:
    """Open the image and mask stacks by name; raise UserError if they are missing or do not pair."""
    files = {name: _stack_files(_find_root(Path(folder)), name) for name in SPLITS}
    for file in (file for pair in files.values() for file in pair):
        if not file.is_file():
            raise UserError(f"{file}: not found; training.tif, testing.tif and the _groundtruth.tif of each are needed")
    stacks = {name: (Stack(image), Stack(mask)) for name, (image, mask) in files.items()}
    for image, mask in stacks.values():
        check_same_shape(image, mask)
    return stacks


def _read_mask(stack: Stack, index: int) -> np.ndarray:
    """Read a mask slice as (h, w) uint8 with values 0 and 1."""
    return map_labels(stack[index], LABELS, f"{stack.path}, slice {index}")
