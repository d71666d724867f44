"""COVID-QU-Ex, its infection segmentation part: chest X-rays with the lungs and their infected area.

Layout (the folder's name stands twice in the official archive, once after some unpackings):
    Infection Segmentation Data/Infection Segmentation Data/
        {Train,Val,Test}/{COVID-19,Non-COVID,Normal}/{images,infection masks,lung masks}/<name>.png
with names `covid_N`, `non_COVID (N)` (41 of them `Non_COVID (N)`) and `Normal (N)`; all files 256x256, 8-bit gray,
masks 0 / 255. A picture and its masks share the name. The infection masks of Non-COVID and Normal pictures exist
and are all zero. The two masks become one: infection goes before lung, and stays infection outside the lung too
(which the official masks never are). A copy without any `lung masks` folder is taken: then nothing is lung; one that
has some of them is not, since background would mean two things.

Which pictures are of one patient is not published, so each picture is a group of its own: the official split is
used as it is, and whether patients cross it cannot be checked.
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
from promptseg.datasets.covid.xray import chest_xray
from promptseg.download import kaggle

TITLE = "COVID-QU-Ex, infection segmentation"
LICENCE = (
    "as stated at kaggle.com/datasets/anasmohammedtahir/covidqu; "
    "the pictures come from public collections with terms of their own"
)
CITATION = (
    "A. M. Tahir et al., COVID-19 infection localization and severity grading from chest X-ray images, "
    "Computers in Biology and Medicine 139 (2021) 105002, doi:10.1016/j.compbiomed.2021.105002; "
    "infection masks: A. Degerli et al., COVID-19 infection map generation and detection from chest X-ray images, "
    "Health Information Science and Systems 9 (2021) 15, doi:10.1007/s13755-021-00146-8"
)
ACCESS = "login"
CLASSES = ("infection", "lung")  # lung: without infection; the whole lung is both
SPLIT_SIZES = {"train": 3728, "val": 932, "test": 1166}

SLUG = "anasmohammedtahir/covidqu"
PART = "Infection Segmentation Data"
SPLITS = {"Train": "train", "Val": "val", "Test": "test"}
KINDS = ("COVID-19", "Non-COVID", "Normal")
IMAGES, MASKS, LUNGS = "images", "infection masks", "lung masks"
_MEND = f"it belongs to the `{PART}` of the archive: copy it as well"
OFFICIAL = {"Train": (1864, 932, 932), "Val": (466, 233, 233), "Test": (583, 292, 291)}  # pictures of each kind
SAMPLE = {"Train": (24, 4, 4), "Val": (8, 1, 1), "Test": (20, 2, 2)}
_INFECTION, _LUNG = {0: 0, 255: 1}, {0: 0, 255: 2}


def missing_login() -> str:
    """What to do before download gets in."""
    return kaggle.missing_login()


def download(folder: Path) -> None:
    """Fetch the archive through kagglehub, which checks it and resumes, and copy the infection part.

    Raises UserError if it cannot be had that way, or holds other numbers than the official ones.
    """
    source = kaggle.files(SLUG, "covid")
    images = [image for image, _, _ in _pairs(source)]
    counts = Counter(image.parts[-4:-2] for image in images)
    for split, numbers in OFFICIAL.items():
        for kind, number in zip(KINDS, numbers):
            if counts[split, kind] != number:
                found = f"{counts[split, kind]} pictures in {split}/{kind}, where {number} are official"
                raise UserError(f"{source}: {found}; delete this folder and download again")
    for image in images:
        for part in (IMAGES, MASKS, LUNGS):
            target = folder / PART / PART / Path(*image.parts[-4:-2], part, image.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.parents[1] / part / image.name, target)


def verify(folder: Path) -> None:
    """Raise UserError with the first thing that is missing: a folder, a picture, a mask, a split to train or test on.

    A part of the official files is accepted, without Val too; pixels are checked when they are read.
    """
    found = {image.parts[-4] for image, _, _ in _pairs(folder)}
    for split in ("Train", "Test"):
        if split not in found:
            raise UserError(f"{_root(folder) / split}: no pictures; copy this part of the official data as well")


def read(folder: Path) -> Iterator[Sample]:
    """Pictures in the order Train, Val, Test; COVID-19, Non-COVID, Normal; then by number.

    image() is (256, 256) uint8, mask() the same with 1 where infected, 2 in the rest of the lungs, 0 elsewhere. Raises
    UserError at once where names do not pair.
    """
    return map(_picture, _pairs(folder))


def sample(folder: Path, seed: int) -> None:
    """Draw 66 pictures in the official layout, numbered at random within it; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    for split, numbers in SAMPLE.items():
        for kind, pattern, number in zip(KINDS, ("covid_{}", "non_COVID ({})", "Normal ({})"), numbers):
            home = folder / PART / PART / split / kind
            for part in (IMAGES, MASKS, LUNGS):
                (home / part).mkdir(parents=True, exist_ok=True)
            for index, n in enumerate(sorted(rng.choice(np.arange(1, 3000), number, replace=False))):
                name = pattern.format(n) + ".png"
                if (split, kind, index) == ("Train", "Non-COVID", 0):
                    name = name.replace("non_", "Non_")  # the official data's third spelling
                for part, array in zip((IMAGES, MASKS, LUNGS), chest_xray(rng, kind)):
                    (home / part / name).write_bytes(image_io.png(array))


def _picture(files: tuple[Path, Path, Path | None]) -> Sample:
    image, infection, lungs = files
    id = "/".join((*image.parts[-4:-2], image.stem))
    return Sample(
        id=id,
        split=SPLITS[image.parts[-4]],
        group=id,
        image=partial(image_io.read_image, image),
        mask=partial(_mask, infection, lungs),
        file=image,
    )


def _mask(infection: Path, lungs: Path | None) -> np.ndarray:
    """(h, w) uint8: 1 where infected, 2 where lung without infection, 0 elsewhere."""
    mask = image_io.read_mask(infection, _INFECTION)
    if lungs is None:
        return mask
    whole = image_io.read_mask(lungs, _LUNG)
    image_io.check_pair(mask, whole, lungs)
    return np.where(mask > 0, mask, whole)


def _root(folder: Path) -> Path:
    """The folder that holds Train, Val and Test: the given one, or below one or two of the archive's own name."""
    folder = Path(folder)
    for root in (folder, folder / PART, folder / PART / PART):
        if any((root / split).is_dir() for split in SPLITS):
            return root
    raise UserError(f"{folder}: it holds neither `{PART}` nor Train, Val and Test; give the archive's folder")


def _pairs(folder: Path) -> list[tuple[Path, Path, Path | None]]:
    """(picture, infection mask, lung mask) of every name, in order; no lung mask where there are none at all.

    Raises UserError where one of them lacks another, or at none.
    """
    root, pairs = _root(folder), []
    homes = [root / split / kind for split in SPLITS for kind in KINDS if (root / split / kind).is_dir()]
    lungs = any((home / LUNGS).is_dir() for home in homes)
    for home in homes:
        images = listed(home / IMAGES, ".png", _MEND)
        for part in (MASKS, LUNGS) if lungs else (MASKS,):
            masks = listed(home / part, ".png", _MEND)
            for name in sorted(images ^ masks, key=natural)[:1]:
                here, there = (IMAGES, part) if name in images else (part, IMAGES)
                raise UserError(f"{home / here / name}: no file of this name in `{there}`; restore it or delete this one")
        for name in sorted(images, key=natural):
            pairs.append((home / IMAGES / name, home / MASKS / name, home / LUNGS / name if lungs else None))
    if not pairs:
        kinds = ",".join(KINDS)
        raise UserError(f"{root}: no pictures in {{Train,Val,Test}}/{{{kinds}}}/{IMAGES}; unpack the archive again")
    return pairs
