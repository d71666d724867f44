"""QaTa-COV19 v2: chest X-rays of COVID-19 with the infected area of the lungs.

Layout (the archive holds version 1 beside it, which has other pictures and is not read):
    QaTa-COV19/QaTa-COV19-v2/{Train Set,Test Set}/{Images,Ground-truths}/
The mask of `X.png` is `mask_X.png`; gray, masks 0 / 255, each with an infection. The given folder may also be
`QaTa-COV19-v2` itself, or hold it.

The pictures come from several collections. One of them names the subject (`sub-S09340_ses-E17282_run-1_...`): its
pictures are one group. Of the others the patient is not published; each is a group of its own. The official split is
kept. Pictures for training of a subject who is also tested would be a leak: they are left out, unless the option
`subjects_in_both: keep` asks for the official numbers. How many these are is not published.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.params import Settings
from promptseg.data import image_io
from promptseg.data.file_names import listed, natural
from promptseg.datasets import Sample
from promptseg.datasets.covid.film import infected, names
from promptseg.download import kaggle

TITLE = "QaTa-COV19 v2"
LICENCE = (
    "as stated at kaggle.com/datasets/aysendegerli/qatacov19-dataset; "
    "the pictures come from public collections with terms of their own"
)
CITATION = (
    "A. Degerli, S. Kiranyaz, M. E. H. Chowdhury and M. Gabbouj, OSegNet: Operational Segmentation Network for "
    "COVID-19 Detection Using Chest X-Ray Images, ICIP 2022, doi:10.1109/ICIP46576.2022.9897412"
)
ACCESS = "login"
CLASSES = ("infection",)
OFFICIAL = {"train": 7145, "test": 2113}  # pairs in the files
SPLIT_SIZES = {"test": OFFICIAL["test"]}  # of train, those whose subjects are not in test

SLUG = "aysendegerli/qatacov19-dataset"
ABOVE, PART = "QaTa-COV19", "QaTa-COV19-v2"
SPLITS = {"Train Set": "train", "Test Set": "test"}
IMAGES, MASKS = "Images", "Ground-truths"
SAMPLE = {"Train Set": 36, "Test Set": 22}
_MEND = f"it belongs to `{PART}` of the archive: copy it as well"
_LABELS = {0: 0, 255: 1}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+(?=_)")


class Options(Settings):
    """subjects_in_both: what becomes of pictures for training whose subject is tested too."""

    subjects_in_both: Literal["leave_out", "keep"] = "leave_out"


def missing_login() -> str:
    """What to do before download gets in."""
    return kaggle.missing_login()


def download(folder: Path) -> None:
    """Fetch the archive through kagglehub, which checks it and resumes, and copy version 2.

    Raises UserError if it cannot be had that way, or holds other numbers than the official ones.
    """
    source = kaggle.files(SLUG, "qata")
    pairs = _pairs(source)
    for home, split in SPLITS.items():
        count = sum(image.parts[-3] == home for image, _ in pairs)
        if count != OFFICIAL[split]:
            found = f"{count} pictures in {home}, where {OFFICIAL[split]} are official"
            raise UserError(f"{source}: {found}; delete this folder and download again")
    for pair in pairs:
        for file in pair:
            target = Path(folder, PART, *file.parts[-3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def verify(folder: Path, options: Options = Options()) -> None:
    """Raise UserError with the first thing that is missing: a folder, a picture, a mask, one of the two sets.

    A part of the official files is accepted; pixels are checked when they are read. How many pictures are left out
    because their subject is tested too is noted on stderr.
    """
    pairs = _pairs(folder)
    for home in SPLITS:
        if not any(image.parts[-3] == home for image, _ in pairs):
            raise UserError(f"{_root(folder) / home}: no pictures; copy this part of the official data as well")
    left_out = len(pairs) - len(_kept(pairs, options))
    if left_out:
        print(f"note: qata: {left_out} pictures for training are left out: their subjects are tested", file=sys.stderr)


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Pictures of the Train Set, then of the Test Set, by name and number in it.

    image() and mask() are (224, 224) uint8, 1 where infected. Raises UserError at once where names do not pair.
    """
    return (
        Sample(
            id=f"{SPLITS[image.parts[-3]]}/{image.stem}",
            split=SPLITS[image.parts[-3]],
            group=_group(image),
            image=partial(image_io.read_image, image),
            mask=partial(image_io.read_mask, mask, _LABELS),
            file=image,
        )
        for image, mask in _kept(_pairs(folder), options)
    )


def sample(folder: Path, seed: int) -> None:
    """Draw 58 pictures in the official layout; no subject is in both sets; the same seed gives the same bytes."""
    rng = np.random.default_rng([seed, 19])
    for number, (home, count) in enumerate(SAMPLE.items()):
        for part in (IMAGES, MASKS):
            (Path(folder) / PART / home / part).mkdir(parents=True, exist_ok=True)
        for stem in names(rng, count, 1 + 3000 * number):
            image, mask = infected(rng)
            (folder / PART / home / IMAGES / f"{stem}.png").write_bytes(image_io.png(image))
            (folder / PART / home / MASKS / f"mask_{stem}.png").write_bytes(image_io.png(mask))


def _group(image: Path) -> str:
    """The subject where the name tells it, else the picture."""
    subject = _SUBJECT.match(image.name)
    return subject[0] if subject else f"{SPLITS[image.parts[-3]]}/{image.stem}"


def _kept(pairs: list[tuple[Path, Path]], options: Options) -> list[tuple[Path, Path]]:
    if options.subjects_in_both == "keep":
        return pairs
    tested = {_group(image) for image, _ in pairs if SPLITS[image.parts[-3]] == "test"}
    return [pair for pair in pairs if SPLITS[pair[0].parts[-3]] == "test" or _group(pair[0]) not in tested]


def _root(folder: Path) -> Path:
    """The folder that holds the two sets: the given one, or below it as in the archive."""
    folder = Path(folder)
    for root in (folder, folder / PART, folder / ABOVE / PART, folder / PART / PART):
        if any((root / home).is_dir() for home in SPLITS):
            return root
    raise UserError(f"{folder}: it holds neither `{PART}` nor {' and '.join(SPLITS)}; give the archive's folder")


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(picture, mask) of every name, in order. Raises UserError where one lacks the other, or at none."""
    root, pairs = _root(folder), []
    for home in (root / name for name in SPLITS if (root / name).is_dir()):
        images, masks = listed(home / IMAGES, ".png", _MEND), listed(home / MASKS, ".png", _MEND)
        for name in sorted({f"mask_{name}" for name in images} ^ masks)[:1]:
            photo = home / IMAGES / name.removeprefix("mask_")
            if name not in masks:
                raise UserError(f"{home / MASKS / name}: not found; the mask of {photo.name} is to be here: restore it")
            raise UserError(f"{home / MASKS / name}: there is no picture {photo} for it; restore it or delete the mask")
        pairs += [(home / IMAGES / name, home / MASKS / f"mask_{name}") for name in sorted(images, key=natural)]
    if not pairs:
        raise UserError(f"{root}: no pictures in {IMAGES}; unpack the archive again")
    return pairs
