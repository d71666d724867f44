"""EPFL Electron Microscopy: mitochondria in the CA1 hippocampus, two annotated stacks of 165 slices, 1024x768, 5 nm.

Layout: training.tif, training_groundtruth.tif, testing.tif, testing_groundtruth.tif in one folder; multi-page TIFF,
gray uint8, masks 0 and 255. The stacks differ in place (the upper and the lower part of one volume), so the source's
own split holds; volumedata.tif, the volume without annotation, is not needed. Lucchi++ is another annotation of the
same stacks, and another dataset here (`lucchi_pp`): the two are never mixed.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.data.image_io import map_labels
from promptseg.data.tiff_stack import Stack, check_pair
from promptseg.datasets import Sample
from promptseg.datasets.em.stack import stack as draw
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
ORDERED_GROUPS = True  # neighbouring blocks of slices are alike: the validation split is cut off at the end

# The %20 is part of the address. No checksum is published; the size is what one client lists.
BASE = "https://documents.epfl.ch/groups/c/cv/cvlab-unit/www/data/%20ElectronMicroscopy_Hippocampus/"
BYTES = 129_919_357
SPLITS = {"training": "train", "testing": "test"}
BLOCK = 5  # slices of one group
LABELS = {0: 0, 255: 1}
SAMPLE_SLICES, SAMPLE_SIDE = 12, 512


def download(folder: Path) -> None:
    """Fetch the four files from EPFL (520 MB) and verify them. A size other than the listed one is only noted."""
    for name in SPLITS:
        for file in _files(Path(folder), name):
            fetch(BASE + file.name, file, size=BYTES)
    verify(folder)


def verify(folder: Path) -> None:
    """Raise UserError unless both stacks are there, pair slice by slice, and their first and last slices decode."""
    for image, mask in _stacks(folder).values():
        for index in sorted({0, len(image) - 1}):
            image[index]
            _mask(mask, index)


def read(folder: Path) -> Iterator[Sample]:
    """Each slice: id `training/007` (counted from 0), group `training/b001`.

    A group is a block of 5 consecutive slices. Neighbouring slices, 5 nm apart, are near duplicates and must not be
    split; a whole stack as one group would leave no validation split and a bootstrap over a single group. Blocks are
    the compromise. Blocks of one stack still share organelles, so the interval is on the narrow side.
    Raises UserError at once where files are missing, damaged or do not pair.
    """
    stacks = _stacks(folder)
    return (
        Sample(
            id=f"{name}/{i:03d}",
            split=SPLITS[name],
            group=f"{name}/b{i // BLOCK:03d}",
            image=partial(image.__getitem__, i),
            mask=partial(_mask, mask, i),
        )
        for name, (image, mask) in stacks.items()
        for i in range(len(image))
    )


def sample(folder: Path, seed: int) -> None:
    """Draw two stacks of 12 slices 512x512 (zlib), each of other cells, which change slowly from slice to slice."""
    for number, name in enumerate(SPLITS):
        rng = np.random.default_rng([seed, number])
        image, mask = _files(Path(folder), name)
        with (
            replacing(image) as image_aside,
            replacing(mask) as mask_aside,
            # Neither time nor program goes into the tags: the same seed gives the same bytes.
            tifffile.TiffWriter(image_aside) as images,
            tifffile.TiffWriter(mask_aside) as masks,
        ):
            for picture, truth in draw(rng, SAMPLE_SLICES, SAMPLE_SIDE):
                for writer, page in ((images, picture), (masks, truth.astype(np.uint8) * 255)):
                    writer.write(
                        page,
                        photometric="minisblack",
                        compression="zlib",
                        predictor=True,
                        metadata=None,
                        software=False,
                    )


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.tif", folder / f"{name}_groundtruth.tif"


def _home(folder: Path) -> Path:
    """The folder with the files: the given one, or the only one just below it that has them, as an archive may."""
    below = [path for path in sorted(folder.iterdir()) if (path / "training.tif").is_file()] if folder.is_dir() else []
    return below[0] if len(below) == 1 and not (folder / "training.tif").is_file() else folder


def _stacks(folder: Path) -> dict[str, tuple[Stack, Stack]]:
    files = {name: _files(_home(Path(folder)), name) for name in SPLITS}
    for file in (file for pair in files.values() for file in pair):
        if not file.is_file():
            raise UserError(f"{file}: not found; needed: training.tif, testing.tif and the _groundtruth.tif of each")
    stacks = {name: (Stack(image), Stack(mask)) for name, (image, mask) in files.items()}
    for image, mask in stacks.values():
        check_pair(image, mask)
    return stacks


def _mask(stack: Stack, index: int) -> np.ndarray:
    return map_labels(stack[index], LABELS, f"{stack.path}, slice {index}")
