"""Lucchi++: the mitochondria of the EPFL stacks (see `em`) annotated anew, slice by slice, by Casser et al.

Layout, in the given folder or one below it (`Lucchi++`):
    {Train,Test}_{In,Out}/mask0000.png ...       pictures in `In`, masks in `Out`, of the same names (also the pictures
                                                 are called mask....png in the official archive)
or the same as multi-page TIFF: Train_In.tif, Train_Out.tif, Test_In.tif, Test_Out.tif. 165 slices of 1024x768 each,
gray uint8, masks 0 and 255.

Pictures are those of `em`, masks are not (their Dice is 0.88): scores on one say nothing about the other. The names
differ from those of `em`, so that one is never read for the other. Split and groups as there.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.tiff_stack import Stack, check_pair
from promptseg.datasets import Sample
from promptseg.datasets.em.annotation import slices as draw
from promptseg.download.archives import unpack
from promptseg.download.http import fetch

TITLE = "Lucchi++ (CA1 hippocampus, mitochondria annotated anew)"
LICENCE = "none stated that is known to us; published by its authors for research, to be cited"
CITATION = (
    "V. Casser, K. Kang, H. Pfister and D. Haehn, Fast Mitochondria Detection for Connectomics, MIDL 2020, "
    "PMLR 121:111-120; the stacks: A. Lucchi, Y. Li and P. Fua, CVPR 2013, data by G. Knott and M. Cantoni, EPFL"
)
ACCESS = "automatic"
CLASSES = ("mitochondrion",)
SPLIT_SIZES = {"train": 165, "test": 165}  # slices
ORDERED_GROUPS = True  # neighbouring blocks of slices are alike: the validation split is cut off at the end

# As users of the data cite it: the address could not be checked here, and no checksum is published.
ADDRESS = "https://casser.io/files/lucchi_pp.zip"
SPLITS = {"Train": "train", "Test": "test"}
BLOCK = 5  # slices of one group, as in `em`
LABELS = {0: 0, 255: 1}
SAMPLE_SLICES, SAMPLE_SIDE = 10, 448
_NUMBERED = re.compile(r"[^0-9]*([0-9]+)\.png", re.IGNORECASE)

Slice = tuple[int, Callable[[], np.ndarray], Callable[[], np.ndarray], Path | None]  # number, image, mask, file


def download(folder: Path) -> None:
    """Fetch the archive of the authors, unpack it and verify the files."""
    archive = Path(folder) / "lucchi_pp.zip"
    fetch(ADDRESS, archive)
    unpack(archive, Path(folder))
    archive.unlink()
    verify(folder)


def verify(folder: Path) -> None:
    """Raise UserError unless both stacks are there, pair slice by slice, and their first and last slices decode."""
    for name in SPLITS:
        found = _slices(_root(folder), name)
        for number, image, mask, _ in (found[0], found[-1]):
            image_io.check_pair(image(), mask(), f"{_root(folder) / name}_In, slice {number}")


def read(folder: Path) -> Iterator[Sample]:
    """Each slice: id `train/007`, by the number in its name, group `train/b001`: a block of 5 slices, as in `em`.

    Raises UserError at once where files are missing, damaged or do not pair.
    """
    root = _root(folder)
    stacks = [(split, _slices(root, name)) for name, split in SPLITS.items()]
    return (
        Sample(f"{split}/{number:03d}", split, f"{split}/b{number // BLOCK:03d}", image, mask, file=file)
        for split, found in stacks
        for number, image, mask, file in found
    )


def sample(folder: Path, seed: int) -> None:
    """Draw two stacks of 10 slices 448x448 as PNG, other ones than those of `em`."""
    for number, name in enumerate(SPLITS):
        homes = [Path(folder) / f"{name}_{part}" for part in ("In", "Out")]
        for home in homes:
            home.mkdir(parents=True, exist_ok=True)
        for index, pair in enumerate(draw(np.random.default_rng([seed, number, 2]), SAMPLE_SLICES, SAMPLE_SIDE)):
            for home, array in zip(homes, pair):
                (home / f"mask{index:04d}.png").write_bytes(image_io.png(array))


def _root(folder: Path) -> Path:
    """The folder that holds Train_In and the others: the given one, or the only one below it that does."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one where the archive of Lucchi++ was unpacked")
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for root in (folder, *below):
        if any((root / f"{name}_In{ending}").exists() for name in SPLITS for ending in ("", ".tif")):
            return root
    raise UserError(f"{folder}: it holds no Train_In and Test_In, nor does a folder in it; give the archive's folder")


def _slices(root: Path, name: str) -> list[Slice]:
    """The slices of one stack, in order. Raises UserError where they are missing, misnamed or do not pair."""
    image, mask = root / f"{name}_In", root / f"{name}_Out"
    if image.is_dir() or mask.is_dir():
        return _folders(image, mask)
    images, masks = Stack(image.with_suffix(".tif")), Stack(mask.with_suffix(".tif"))
    check_pair(images, masks)
    return [(i, partial(images.__getitem__, i), partial(_page, masks, i), None) for i in range(len(images))]


def _folders(images: Path, masks: Path) -> list[Slice]:
    numbers = {}
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(f"{folder}: not found; needed: Train_In, Train_Out, Test_In and Test_Out of the archive")
        files = [p for p in folder.iterdir() if p.suffix.lower() == ".png" and not p.name.startswith(".")]
        for path in sorted(files):
            match = _NUMBERED.fullmatch(path.name)
            if not match:
                raise UserError(f"{path}: name it by its slice, like mask0007.png, or move it away")
            twin = numbers.setdefault((folder, int(match[1])), path)
            if twin != path:
                raise UserError(f"{path}: {twin.name} is slice {int(match[1])} as well; delete one of them")
    names = {folder: {path.name for (home, _), path in numbers.items() if home == folder} for folder in (images, masks)}
    for name in sorted(names[images] ^ names[masks])[:1]:
        here, there = (images, masks) if name in names[images] else (masks, images)
        raise UserError(f"{here / name}: no file of this name in {there.name}; restore it or delete this one")
    if not names[images]:
        raise UserError(f"{images}: no slices like mask0000.png; unpack the archive again")
    order = sorted((number, path) for (home, number), path in numbers.items() if home == images)
    return [
        (number, partial(image_io.read_image, path), partial(image_io.read_mask, masks / path.name, LABELS), path)
        for number, path in order
    ]


def _page(stack: Stack, index: int) -> np.ndarray:
    return image_io.map_labels(stack[index], LABELS, f"{stack.path}, slice {index}")
