"""COVID-QU-Ex, infection segmentation part: chest X-rays with masks of the lungs and of their infected area.

Layout (the folder name is doubled in the official archive, single after some unpackers):
    Infection Segmentation Data/Infection Segmentation Data/
        {Train,Val,Test}/{COVID-19,Non-COVID,Normal}/{images,infection masks,lung masks}/<name>.png
with names `covid_N`, `non_COVID (N)` (41 of them `Non_COVID (N)`) and `Normal (N)`; all files 256x256, 8-bit gray,
masks 0 and 255. An image and its masks have the same name.

Traps:
- The infection masks of Non-COVID and Normal images exist and are all zero.
- The two masks become one: class 1 is infection, class 2 the rest of the lungs. Infection takes precedence over lung,
  and outside the lung masks it stays infection (the official masks have no such pixels). A study of `lung` without
  `infection` gets the whole lungs, infection included.
- A copy without any `lung masks` folder is accepted, then nothing is lung. A copy with only some of them is refused,
  since background would mean two different things.
- It is not published which images are of one patient, so each image is a group of its own, but for near-duplicates,
  which are looked for. The official split is used as it is, and whether patients occur in two splits cannot be known.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import listed, natural
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, find_root
from promptseg.download import kaggle
from promptseg.download.kaggle import missing_login as missing_login

TITLE = "COVID-QU-Ex, infection segmentation"
LICENCE = (
    "as stated at kaggle.com/datasets/anasmohammedtahir/covidqu; "
    "the images come from public collections with terms of their own"
)
CITATION = (
    "A. M. Tahir et al., COVID-19 infection localization and severity grading from chest X-ray images, "
    "Computers in Biology and Medicine 139 (2021) 105002, doi:10.1016/j.compbiomed.2021.105002; "
    "infection masks: A. Degerli et al., COVID-19 infection map generation and detection from chest X-ray images, "
    "Health Information Science and Systems 9 (2021) 15, doi:10.1007/s13755-021-00146-8"
)
ACCESS = "login"
CLASSES = ("infection", "lung")  # lung: without infection
CONTAINED_IN = {"infection": "lung"}  # the whole lung is the union of both
CHECK_DUPLICATES = True
SPLIT_SIZES = {"train": 3728, "val": 932, "test": 1166}

SLUG = "anasmohammedtahir/covidqu"
SUBSET = "Infection Segmentation Data"
SPLITS = {"Train": "train", "Val": "val", "Test": "test"}
REQUIRED = {"train": "Train", "test": "Test"}
KINDS = ("COVID-19", "Non-COVID", "Normal")
IMAGES, MASKS, LUNGS = "images", "infection masks", "lung masks"
OFFICIAL_COUNTS = {"Train": (1864, 932, 932), "Val": (466, 233, 233), "Test": (583, 292, 291)}  # images of each kind
_REMEDY = f"it belongs to the `{SUBSET}` of the archive: copy it as well"
_INFECTION_LABELS, _LUNG_LABELS = {0: 0, 255: 1}, {0: 0, 255: 2}


def download(folder: Path) -> None:
    """Download the archive with kagglehub, which resumes and checks it, and copy the infection segmentation part.

    Args:
        folder: folder to copy into.

    Raises:
        UserError: if Kaggle does not give out the archive, or the archive does not hold the official number of images.
    """
    source = kaggle.files(SLUG, "covid")
    images = [image for image, _, _ in _list_files(source)]
    counts = Counter(image.parts[-4:-2] for image in images)
    for split, numbers in OFFICIAL_COUNTS.items():
        for kind, number in zip(KINDS, numbers, strict=True):
            if counts[split, kind] != number:
                reason = f"{counts[split, kind]} images in {split}/{kind} instead of the official {number}"
                raise UserError(f"{source}: {reason}; delete this folder and download again")
    for image in images:
        for part in (IMAGES, MASKS, LUNGS):
            target = folder / SUBSET / SUBSET / Path(*image.parts[-4:-2], part, image.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.parents[1] / part / image.name, target)


def read(folder: Path) -> Iterator[Sample]:
    """Read the images in the order Train, Val, Test; COVID-19, Non-COVID, Normal; then by number.

    Args:
        folder: folder of the archive, or one of its two nested folders.

    Yields:
        A sample per image: id and group `Train/COVID-19/covid_1`, image (256, 256) uint8, mask (256, 256) uint8 with 1
        infection, 2 the rest of the lungs, 0 background.

    Raises:
        UserError: at the call, if an image and its masks do not pair by name.
    """
    return (
        file_sample(id, SPLITS[image.parts[-4]], id, image, infection, partial(_read_mask, lungs=lungs))
        for image, infection, lungs in _list_files(folder)
        for id in ("/".join((*image.parts[-4:-2], image.stem)),)
    )


def _read_mask(infection: Path, lungs: Path | None) -> np.ndarray:
    """Merge two masks into (h, w) uint8: 1 infection, 2 lung without infection, 0 background."""
    mask = image_io.read_mask(infection, _INFECTION_LABELS)
    if lungs is None:
        return mask
    lung_mask = image_io.read_mask(lungs, _LUNG_LABELS)
    image_io.check_same_size(mask.shape, lung_mask.shape, infection, lungs)
    return np.where(mask > 0, mask, lung_mask)


def _list_files(folder: Path) -> list[tuple[Path, Path, Path | None]]:
    """List (image, infection mask, lung mask) in order, without lung masks if there are none at all.

    Raises UserError if one of the three has no partner, or if there are no images.
    """
    remedy = f"neither `{SUBSET}` nor Train, Val and Test in it; give the folder of the archive"
    root, files = find_root(folder, ("", SUBSET, f"{SUBSET}/{SUBSET}"), SPLITS, remedy), []
    homes = [root / split / kind for split in SPLITS for kind in KINDS if (root / split / kind).is_dir()]
    has_lungs = any((home / LUNGS).is_dir() for home in homes)
    for home in homes:
        images = listed(home / IMAGES, ".png", _REMEDY)
        for part in (MASKS, LUNGS) if has_lungs else (MASKS,):
            masks = listed(home / part, ".png", _REMEDY)
            check_pairs(images, masks, (home / IMAGES).joinpath, (home / part).joinpath)
        for name in sorted(images, key=natural):
            files.append((home / IMAGES / name, home / MASKS / name, home / LUNGS / name if has_lungs else None))
    if not files:
        kinds = ",".join(KINDS)
        raise UserError(f"{root}: no images in {{Train,Val,Test}}/{{{kinds}}}/{IMAGES}; unpack the archive again")
    return files
