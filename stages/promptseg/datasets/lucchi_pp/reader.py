"""Lucchi++: the mitochondria of the EPFL stacks (see `em`) annotated again, slice by slice, by Casser et al.

Layout, in the given folder or in one folder below it (`Lucchi++`), either PNG files or multi-page TIFF:
    Train_In/mask0000.png ...   Train_Out/mask0000.png ...       images in `In`, masks in `Out`
    Test_In/mask0000.png ...    Test_Out/mask0000.png ...
    Train_In.tif  Train_Out.tif  Test_In.tif  Test_Out.tif       the same as TIFF
165 slices of 1024x768 each, gray uint8, masks 0 and 255.

Traps:
- An image and its mask have the same file name; in the official archive the images are called mask....png as well.
- The images are those of `em`, the masks are not (Dice 0.88 between the two annotations), so scores on one dataset say
  nothing about the other. The file names differ from those of `em`, so that one is never read in place of the other.
- Split and groups are those of `em`: a block of 5 consecutive slices is one group, and one block between training and
  validation is left out.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.tiff_stack import Stack, check_same_shape
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, with_subfolders
from promptseg.download import archives

TITLE = "Lucchi++ (CA1 hippocampus, mitochondria annotated anew)"
LICENCE = "none stated that is known to us; published by its authors for research, to be cited"
CITATION = (
    "V. Casser, K. Kang, H. Pfister and D. Haehn, Fast Mitochondria Detection for Connectomics, MIDL 2020, "
    "PMLR 121:111-120; the stacks: A. Lucchi, Y. Li and P. Fua, CVPR 2013, data by G. Knott and M. Cantoni, EPFL"
)
ACCESS = "automatic"
CLASSES = ("mitochondrion",)
SPLIT_SIZES = {"train": 165, "test": 165}  # slices
ORDERED_GROUPS = True  # neighboring blocks are alike, so the validation split is cut off at the end of the stack
GROUP_UNIT = "block of 5 slices within one volume"

# The address that users of the data cite; it could not be tested here, and no checksum is published.
ADDRESS = "https://casser.io/files/lucchi_pp.zip"
SPLITS = {"Train": "train", "Test": "test"}
BLOCK = 5  # slices per group, as in `em`
LABELS = {0: 0, 255: 1}
_NUMBERED = re.compile(r"[^0-9]*([0-9]+)\.png", re.IGNORECASE)


def download(folder: Path) -> None:
    """Download the authors' archive, unpack it and verify the files.

    Args:
        folder: folder to unpack into; the archive itself is deleted.

    Raises:
        UserError: if the archive cannot be downloaded, or does not hold the dataset.
    """
    archives.download(ADDRESS, folder)
    verify(folder)


def verify(folder: Path) -> None:
    """Check that both stacks exist and pair slice by slice, and decode their first and last slices.

    Args:
        folder: folder with the stacks, or the parent of that folder.

    Raises:
        UserError: naming the first file that is missing, misnamed, damaged or does not match its mask.
    """
    root = _find_root(folder)
    for name in SPLITS:
        samples = _list_samples(root, name)
        for sample in (samples[0], samples[-1]):
            image_io.check_same_size(sample.image().shape, sample.mask().shape, *sample.names)


def read(folder: Path) -> Iterator[Sample]:
    """Read the slices of the training stack, then those of the test stack, in the order of their numbers.

    Args:
        folder: folder with the stacks, or the parent of that folder.

    Yields:
        A sample per slice: id `train/007` (the number in the file name), group `train/b001`, image and mask (h, w)
        uint8.

    Raises:
        UserError: at the call, if a file is missing, misnamed, damaged or does not match its mask.
    """
    root = _find_root(folder)
    return iter([sample for name in SPLITS for sample in _list_samples(root, name)])


def _find_root(folder: Path) -> Path:
    """Return the folder that holds Train_In: the given one or one below it. Raise UserError if there is none."""
    for root in with_subfolders(folder):
        if any((root / f"{name}_In{suffix}").exists() for name in SPLITS for suffix in ("", ".tif")):
            return root
    raise UserError(f"{folder}: no Train_In and Test_In in it or in a folder below; give the folder of the archive")


def _list_samples(root: Path, name: str) -> list[Sample]:
    """List the slices of one stack in order. Raise UserError if they are missing, misnamed or do not pair."""
    split, image, mask = SPLITS[name], root / f"{name}_In", root / f"{name}_Out"

    def about(number: int) -> tuple[str, str, str]:
        return f"{split}/{number:03d}", split, f"{split}/b{number // BLOCK:03d}"

    if image.is_dir() or mask.is_dir():
        read_mask = partial(image_io.read_mask, labels=LABELS)
        return [file_sample(*about(i), *pair, read_mask) for i, pair in _list_png_pairs(image, mask)]
    images, masks = Stack(image.with_suffix(".tif")), Stack(mask.with_suffix(".tif"))
    check_same_shape(images, masks)
    return [
        Sample(
            *about(i),
            partial(images.__getitem__, i),
            partial(_read_tiff_mask, masks, i),
            sources=(f"{images.path}, slice {i}", f"{masks.path}, slice {i}"),
        )
        for i in range(len(images))
    ]


def _list_png_pairs(images: Path, masks: Path) -> list[tuple[int, tuple[Path, Path]]]:
    """List number and files of each slice of a folder of images and a folder of masks, paired by file name."""
    numbers = {folder: _number_files(folder) for folder in (images, masks)}
    names = {folder: {path.name for path in numbers[folder].values()} for folder in (images, masks)}
    check_pairs(names[images], names[masks], images.joinpath, masks.joinpath)
    if not names[images]:
        raise UserError(f"{images}: no slices like mask0000.png; unpack the archive again")
    return [(number, (path, masks / path.name)) for number, path in sorted(numbers[images].items())]


def _number_files(folder: Path) -> dict[int, Path]:
    """Map slice numbers to the PNG files of a folder. Raise UserError if a name has no number, or two the same."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; Train_In, Train_Out, Test_In and Test_Out of the archive are needed")
    numbers: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() == ".png" and not p.name.startswith(".")):
        match = _NUMBERED.fullmatch(path.name)
        if not match:
            raise UserError(f"{path}: no slice number in its name; rename it like mask0007.png, or move it away")
        twin = numbers.setdefault(int(match[1]), path)
        if twin != path:
            raise UserError(f"{path}: {twin.name} is slice {int(match[1])} as well; delete one of them")
    return numbers


def _read_tiff_mask(stack: Stack, index: int) -> np.ndarray:
    """Read a mask slice as (h, w) uint8 with values 0 and 1."""
    return image_io.map_labels(stack[index], LABELS, f"{stack.path}, slice {index}")
