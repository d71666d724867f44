"""Cityscapes as image pairs (Kaggle): small JPEG files, the photo on the left, its color-coded annotation on the right.

Layout: `{train,val}/<number>.jpg`, 512x256 each, directly in the given folder, or below `cityscapes_data/` once or
twice. The Kaggle archive holds the same files at both depths; the upper ones are read.

Traps:
- The right half was a color mask before it became a JPEG, so the labels are lossy: two colors blend where they meet.
  Each pixel gets the class of the nearest official color. A pixel that is farther than BOUND from all colors, mostly at
  such an edge, is ignored (255), as is what the official evaluation does not count.
- Some wrong labels remain: a blend of two colors may itself be a color (truck lies between car and void), and the dark
  blues of truck, caravan, trailer and car, and those of bus and train, are close to each other. Poles and pole groups
  have the same color, and all become poles. For scores to publish use `cityscapes`.
- The photos are the official train and val images, squeezed to 256x256; `val` is the test split here, as in
  `cityscapes`.
- The files do not name the city, so each is a group of its own, but for near-duplicates, which are looked for (the car
  also stood still), and a validation split taken from train shares cities with it.
"""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.cityscapes.classes import CLASSES as CLASSES
from promptseg.datasets.cityscapes.classes import LABELS
from promptseg.datasets.official import find_root
from promptseg.download import kaggle
from promptseg.download.kaggle import missing_login as missing_login

TITLE = "Cityscapes image pairs (lossy masks)"
LICENCE = "as stated at kaggle.com/datasets/dansbecker/cityscapes-image-pairs; Cityscapes' own terms: non-commercial"
CITATION = (
    "M. Cordts et al., The Cityscapes dataset for semantic urban scene understanding, CVPR 2016, "
    "doi:10.1109/CVPR.2016.350; as pairs: P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, Image-to-image translation with "
    "conditional adversarial networks, CVPR 2017, doi:10.1109/CVPR.2017.632"
)
ACCESS = "login"
SPLIT_SIZES = {"train": 2975, "test": 500}
CHECK_DUPLICATES = True

SLUG = "dansbecker/cityscapes-image-pairs"
HOME = "cityscapes_data"
SPLITS = {"train": "train", "val": "test"}  # official split: split here
REQUIRED = {"train": "train", "test": "val"}
SIDE = 256  # pixels, of each half
COLORS = {  # official id: color; 18 (polegroup) has the color of 17
    7: (128, 64, 128), 8: (244, 35, 232), 9: (250, 170, 160), 10: (230, 150, 140), 11: (70, 70, 70),
    12: (102, 102, 156), 13: (190, 153, 153), 14: (180, 165, 180), 15: (150, 100, 100), 16: (150, 120, 90),
    17: (153, 153, 153), 19: (250, 170, 30), 20: (220, 220, 0), 21: (107, 142, 35), 22: (152, 251, 152),
    23: (70, 130, 180), 24: (220, 20, 60), 25: (255, 0, 0), 26: (0, 0, 142), 27: (0, 0, 70), 28: (0, 60, 100),
    29: (0, 0, 90), 30: (0, 0, 110), 31: (0, 80, 100), 32: (0, 0, 230), 33: (119, 11, 32),
}  # fmt: skip
VOID_COLORS = ((0, 0, 0), (111, 74, 0), (81, 0, 81))
# RGB distance to the nearest color; JPEG shifts flat color by less than 10, and the middle of an edge is farther away.
BOUND = 36
FLAT = 12  # RGB distance within which a pixel counts as one of the colors
MIN_FLAT = 0.4  # least share of such pixels in a color mask; a generated mask has 0.8, a photo at most 0.33
_PALETTE = np.array([*COLORS.values(), *VOID_COLORS], np.float32)
_CLASS = np.array([LABELS[id] for id in COLORS] + [255] * len(VOID_COLORS), np.uint8)


def download(folder: Path) -> None:
    """Download the archive with kagglehub, which resumes and checks it, and copy the pairs.

    Args:
        folder: folder to copy into.

    Raises:
        UserError: if Kaggle does not give out the archive, or the archive does not hold the official number of files.
    """
    source = kaggle.files(SLUG, "cityscapes_pairs")
    files = _list_files(source)
    for official_split, split in SPLITS.items():
        count = len(files[official_split])
        if count != SPLIT_SIZES[split]:
            reason = f"{count} images in {official_split} instead of the official {SPLIT_SIZES[split]}"
            raise UserError(f"{source}: {reason}; delete this folder and download again")
        (folder / HOME / official_split).mkdir(parents=True)
        for path in files[official_split]:
            shutil.copyfile(path, folder / HOME / official_split / path.name)


def read(folder: Path) -> Iterator[Sample]:
    """Read the images of train, then of val (as test), by number.

    Args:
        folder: folder with train and val, or one of the two levels above it.

    Yields:
        A sample per file: id and group `train/1`, image (256, 256, 3) uint8, mask (256, 256) uint8 with i for
        CLASSES[i - 1] and 255 ignored. One file holds both, so image() and mask() each decode it.

    Raises:
        UserError: at the call, if neither train nor val exists.
    """
    return (
        Sample(id=id, split=SPLITS[split], group=id, image=partial(_read_photo, path), mask=partial(_read_mask, path))
        for split, files in _list_files(folder).items()
        for path in files
        for id in (f"{split}/{path.stem}",)
    )


def _read_photo(path: Path) -> np.ndarray:
    """Read the left half as (256, 256, 3) uint8."""
    return np.ascontiguousarray(_read_halves(path)[0])


def _read_mask(path: Path) -> np.ndarray:
    """Read the right half as (256, 256) uint8 classes. Raise UserError if it is no mask in the official colors."""
    pixels = _read_halves(path)[1].reshape(-1, 3).astype(np.float32)
    # |p - c|^2 without |p|^2, which does not change which color is nearest.
    partial_distance = (_PALETTE**2).sum(1) - 2 * pixels @ _PALETTE.T
    nearest = partial_distance.argmin(1)
    squared_distance = (pixels**2).sum(1) + partial_distance[np.arange(len(pixels)), nearest]
    flat = float(np.mean(squared_distance < FLAT**2))
    if flat < MIN_FLAT:
        share = f"only {100 * flat:.0f} % of its right half has a Cityscapes color"
        raise UserError(f"{path}: {share}; expected a photo left and a color mask right: download it again")
    return np.where(squared_distance < BOUND**2, _CLASS[nearest], 255).astype(np.uint8).reshape(SIDE, SIDE)


def _read_halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the photo and the color mask, each (256, 256, 3) uint8. Raise UserError if the file has another shape."""
    both = image_io.read_image(path)
    if both.shape != (SIDE, 2 * SIDE, 3):
        size = f"{both.shape[1]}x{both.shape[0]}" + (" in gray" if both.ndim == 2 else "")
        raise UserError(f"{path}: it is {size}; expected {2 * SIDE}x{SIDE} in color, photo left and mask right")
    return both[:, :SIDE], both[:, SIDE:]


def _list_files(folder: Path) -> dict[str, list[Path]]:
    """List the files of each official split by number. Raise UserError if neither split exists."""
    remedy = f"neither `{HOME}` nor train and val in it; give the folder of the Kaggle archive"
    root = find_root(folder, ("", HOME, f"{HOME}/{HOME}"), SPLITS, remedy)
    return {split: _list_jpegs(root / split) for split in SPLITS}


def _list_jpegs(folder: Path) -> list[Path]:
    files = [path for path in folder.glob("[!.]*") if path.suffix.lower() in (".jpg", ".jpeg")]
    return sorted(files, key=lambda path: ([int(part) for part in re.findall(r"[0-9]+", path.stem)], path.name))
