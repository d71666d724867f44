"""QaTa-COV19 v2: chest X-rays of COVID-19 patients with masks of the infected area of the lungs.

Layout (the archive also holds version 1, which has other images and is not read):
    QaTa-COV19/QaTa-COV19-v2/{Train Set,Test Set}/{Images,Ground-truths}/
The mask of `X.png` is `mask_X.png`; gray, 224x224, masks 0 and 255, each with an infection. The given folder may also
be `QaTa-COV19-v2` itself, or its parent.

Traps:
- The images come from several collections. One of them names the subject (`sub-S09340_ses-E17282_run-1_...`): the
  images of a subject are one group. The others do not publish the patient: each of their images is its own group, but
  for near-duplicates, which are looked for.
- The official split is used. A training image of a subject who is also in the test set would leak, so it is excluded,
  unless the option `subjects_in_both: keep` asks for the official numbers. How many there are is not published.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from promptseg.core.errors import UserError
from promptseg.core.params import Settings
from promptseg.data.file_names import listed, natural
from promptseg.data.image_io import read_mask
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, find_root
from promptseg.download import kaggle
from promptseg.download.kaggle import missing_login as missing_login

TITLE = "QaTa-COV19 v2"
LICENCE = (
    "as stated at kaggle.com/datasets/aysendegerli/qatacov19-dataset; "
    "the images come from public collections with terms of their own"
)
CITATION = (
    "A. Degerli, S. Kiranyaz, M. E. H. Chowdhury and M. Gabbouj, OSegNet: Operational Segmentation Network for "
    "COVID-19 Detection Using Chest X-Ray Images, ICIP 2022, doi:10.1109/ICIP46576.2022.9897412"
)
ACCESS = "login"
CLASSES = ("infection",)
GROUP_UNIT = "subject where named, else image"
CHECK_DUPLICATES = True
OFFICIAL_COUNTS = {"train": 7145, "test": 2113}  # images in the files
SPLIT_SIZES = {"test": OFFICIAL_COUNTS["test"]}  # train is smaller by the subjects who are also in test

SLUG = "aysendegerli/qatacov19-dataset"
COLLECTION, VERSION = "QaTa-COV19", "QaTa-COV19-v2"
SPLITS = {"Train Set": "train", "Test Set": "test"}
IMAGES, MASKS = "Images", "Ground-truths"
_REMEDY = f"it belongs to `{VERSION}` of the archive: copy it as well"
_LABELS = {0: 0, 255: 1}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+(?=_)")


class Options(Settings):
    """Options of the reader.

    Attributes:
        subjects_in_both: what to do with training images of subjects who are also in the test set.
    """

    subjects_in_both: Literal["leave_out", "keep"] = "leave_out"


def download(folder: Path) -> None:
    """Download the archive with kagglehub, which resumes and checks it, and copy version 2.

    Args:
        folder: folder to copy into.

    Raises:
        UserError: if Kaggle does not give out the archive, or the archive does not hold the official number of images.
    """
    source = kaggle.files(SLUG, "qata")
    pairs = _list_pairs(source)
    for home, split in SPLITS.items():
        count = sum(image.parts[-3] == home for image, _ in pairs)
        if count != OFFICIAL_COUNTS[split]:
            reason = f"{count} images in {home} instead of the official {OFFICIAL_COUNTS[split]}"
            raise UserError(f"{source}: {reason}; delete this folder and download again")
    for pair in pairs:
        for file in pair:
            target = Path(folder, VERSION, *file.parts[-3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def verify(folder: Path, options: Options = Options()) -> None:
    """Check that images and masks pair by name and that both sets have images.

    A subset of the official files is accepted. No pixels are decoded. The number of training images that are excluded
    because their subject is in the test set is printed to stderr.

    Args:
        folder: folder of the archive, `QaTa-COV19-v2`, or its parent.
        options: options of the reader.

    Raises:
        UserError: naming the first missing folder, image, mask or set.
    """
    pairs = _list_pairs(folder)
    for home in SPLITS:
        if not any(image.parts[-3] == home for image, _ in pairs):
            raise UserError(f"{folder}: {home}: no images; copy some of this part of the official data as well")
    excluded = len(pairs) - len(_exclude_test_subjects(pairs, options))
    if excluded:
        reason = "their subjects are in the test set"
        print(f"note: qata: {excluded} training images are left out: {reason}", file=sys.stderr)


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the images of the Train Set, then those of the Test Set, by name and number.

    Args:
        folder: folder of the archive, `QaTa-COV19-v2`, or its parent.
        options: options of the reader.

    Yields:
        A sample per image: id `train/covid_1`, group the subject or the id, image (224, 224) uint8, mask (224, 224)
        uint8 with 1 infection.

    Raises:
        UserError: at the call, if images and masks do not pair by name.
    """
    return (
        file_sample(f"{split}/{image.stem}", split, _group(image), image, mask, partial(read_mask, labels=_LABELS))
        for image, mask in _exclude_test_subjects(_list_pairs(folder), options)
        for split in (SPLITS[image.parts[-3]],)
    )


def _group(image: Path) -> str:
    """Return the subject if the file name has it, else an id of the image."""
    subject = _SUBJECT.match(image.name)
    return subject[0] if subject else f"{SPLITS[image.parts[-3]]}/{image.stem}"


def _exclude_test_subjects(pairs: list[tuple[Path, Path]], options: Options) -> list[tuple[Path, Path]]:
    """Drop training pairs whose subject is in the test set, unless the options say to keep them."""
    if options.subjects_in_both == "keep":
        return pairs
    test_groups = {_group(image) for image, _ in pairs if SPLITS[image.parts[-3]] == "test"}
    return [pair for pair in pairs if SPLITS[pair[0].parts[-3]] == "test" or _group(pair[0]) not in test_groups]


def _list_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """List (image, mask) in order. Raise UserError if one of them has no partner, or if there are no images."""
    remedy = f"neither `{VERSION}` nor {' and '.join(SPLITS)} in it; give the folder of the archive"
    below = ("", VERSION, f"{COLLECTION}/{VERSION}", f"{VERSION}/{VERSION}")
    root, pairs = find_root(folder, below, SPLITS, remedy), []
    for home in (root / name for name in SPLITS if (root / name).is_dir()):
        images, masks = listed(home / IMAGES, ".png", _REMEDY), listed(home / MASKS, ".png", _REMEDY)
        files = (lambda name, home=home: home / IMAGES / name.removeprefix("mask_")), (home / MASKS).joinpath
        check_pairs({f"mask_{name}" for name in images}, masks, *files)
        pairs += [(home / IMAGES / name, home / MASKS / f"mask_{name}") for name in sorted(images, key=natural)]
    if not pairs:
        raise UserError(f"{root}: no images in {IMAGES}; unpack the archive again")
    return pairs
