"""Cityscapes as image pairs (Kaggle): small JPEGs, the photo on the left and its colored annotation on the right.

Layout: `{train,val}/<number>.jpg`, 512x256 each, under `cityscapes_data/` once or twice, or directly. Kaggle's archive
holds the same files at both depths; the upper ones are read.

The right half was a color mask before it became a JPEG, so its labels are lossy: where two colors meet they run into
each other. Each pixel takes the nearest official color; what is farther than BOUND from all of them, which is mostly
such a seam, is ignored (255), as is void. What passes all the same: seams whose mixture is itself a color (between
car and void lies truck), and the dark blues of truck, caravan, trailer, car, and of bus and train, which are near one
another. Poles and pole groups have one color and are all poles. For figures to publish take `cityscapes`.

The photos are the official train and val pictures, squeezed to 256x256; as there, val is our test split. The files do
not say the city, so each is a group of its own, and a validation split drawn from train shares cities with it.
"""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.cityscapes.classes import CLASSES as CLASSES
from promptseg.datasets.cityscapes.classes import VOID
from promptseg.datasets.cityscapes.scene import STYLES, street_scene
from promptseg.download import kaggle

TITLE = "Cityscapes image pairs (lossy masks)"
LICENCE = "as stated at kaggle.com/datasets/dansbecker/cityscapes-image-pairs; Cityscapes' own terms: non-commercial"
CITATION = (
    "M. Cordts et al., The Cityscapes dataset for semantic urban scene understanding, CVPR 2016, "
    "doi:10.1109/CVPR.2016.350; as pairs: P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, Image-to-image translation with "
    "conditional adversarial networks, CVPR 2017, doi:10.1109/CVPR.2017.632"
)
ACCESS = "login"
SPLIT_SIZES = {"train": 2975, "test": 500}

SLUG = "dansbecker/cityscapes-image-pairs"
HOME = "cityscapes_data"
SPLITS = {"train": "train", "val": "test"}  # theirs: ours
SIDE = 256  # of a half
COLORS = {  # official id: color; 18 (polegroup) looks like 17
    7: (128, 64, 128), 8: (244, 35, 232), 9: (250, 170, 160), 10: (230, 150, 140), 11: (70, 70, 70),
    12: (102, 102, 156), 13: (190, 153, 153), 14: (180, 165, 180), 15: (150, 100, 100), 16: (150, 120, 90),
    17: (153, 153, 153), 19: (250, 170, 30), 20: (220, 220, 0), 21: (107, 142, 35), 22: (152, 251, 152),
    23: (70, 130, 180), 24: (220, 20, 60), 25: (255, 0, 0), 26: (0, 0, 142), 27: (0, 0, 70), 28: (0, 60, 100),
    29: (0, 0, 90), 30: (0, 0, 110), 31: (0, 80, 100), 32: (0, 0, 230), 33: (119, 11, 32),
}  # fmt: skip
VOIDS = ((0, 0, 0), (111, 74, 0), (81, 0, 81))
BOUND = 36  # RGB distance; JPEG moves flat color by less than 10, the middle of a seam lies farther from both
FLAT, LEAST = 12, 0.4  # share of a mask that is nearer than FLAT to a color: 0.8 in a drawn one, up to 0.33 in a photo
SAMPLE = {"train": 32, "val": 20}
_PALETTE = np.array([*COLORS.values(), *VOIDS], np.float32)
_CLASS = np.array([id - VOID + 1 for id in COLORS] + [255] * len(VOIDS), np.uint8)


def missing_login() -> str:
    """What to do before download gets in."""
    return kaggle.missing_login()


def download(folder: Path) -> None:
    """Copy the pairs out of Kaggle's archive. Raises UserError if it cannot be had, or has not the official numbers."""
    source = kaggle.files(SLUG, "cityscapes_pairs")
    found = _files(source)
    for split, ours in SPLITS.items():
        if len(found[split]) != SPLIT_SIZES[ours]:
            numbers = f"{len(found[split])} pictures in {split}, where {SPLIT_SIZES[ours]} are official"
            raise UserError(f"{source}: {numbers}; delete this folder and download again")
        (folder / HOME / split).mkdir(parents=True)
        for path in found[split]:
            shutil.copyfile(path, folder / HOME / split / path.name)


def verify(folder: Path) -> None:
    """Raise UserError unless there are pictures in train and in val; pixels are checked when they are read."""
    for split, files in _files(folder).items():
        if not files:
            raise UserError(f"{folder}: no .jpg in `{split}`; copy this part of the archive as well")


def read(folder: Path) -> Iterator[Sample]:
    """Pictures of train, then of val (as test), by number; each is a group of its own.

    image() is (256, 256, 3) uint8, mask() (256, 256) uint8: i for CLASSES[i - 1], 255 ignored. One file holds both, so
    each of them decodes it.
    """
    return (
        Sample(id, SPLITS[split], id, partial(_photo, path), partial(_mask, path))
        for split, files in _files(folder).items()
        for path in files
        for id in (f"{split}/{path.stem}",)
    )


def sample(folder: Path, seed: int) -> None:
    """Draw 52 streets in the official layout; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    paint = np.zeros((256, 3), np.uint8)
    paint[list(COLORS)] = list(COLORS.values())
    styles = list(STYLES.values())
    for split, number in SAMPLE.items():
        home = Path(folder) / HOME / split
        home.mkdir(parents=True)
        for n in range(number):
            photo, ids = street_scene(rng, styles[n % len(styles)])
            photo = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            colors = paint[cv2.resize(ids, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)]
            pair = np.hstack([photo, colors])[..., ::-1]
            _, data = cv2.imencode(".jpg", pair, [cv2.IMWRITE_JPEG_QUALITY, 85])
            (home / f"{n + 1}.jpg").write_bytes(data.tobytes())


def _photo(path: Path) -> np.ndarray:
    return np.ascontiguousarray(_halves(path)[0])


def _mask(path: Path) -> np.ndarray:
    """(256, 256) uint8. Raises UserError where the right half is no annotation in these colors."""
    points = _halves(path)[1].reshape(-1, 3).astype(np.float32)
    # |p - c|^2 without the term that all colors share, which `nearest` does not need.
    apart = (_PALETTE**2).sum(1) - 2 * points @ _PALETTE.T
    nearest = apart.argmin(1)
    distance = (points**2).sum(1) + apart[np.arange(len(points)), nearest]
    flat = float(np.mean(distance < FLAT**2))
    if flat < LEAST:
        share = f"only {100 * flat:.0f} % of its right half has a Cityscapes color"
        raise UserError(f"{path}: {share}; photo left and color mask right are expected: fetch it again")
    return np.where(distance < BOUND**2, _CLASS[nearest], 255).astype(np.uint8).reshape(SIDE, SIDE)


def _halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    both = image_io.read_image(path)
    if both.shape != (SIDE, 2 * SIDE, 3):
        size = f"{both.shape[1]}x{both.shape[0]}" + (" in gray" if both.ndim == 2 else "")
        raise UserError(f"{path}: a pair is {2 * SIDE}x{SIDE} in color, photo left and mask right; this one is {size}")
    return both[:, :SIDE], both[:, SIDE:]


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each split by number. Raises UserError where there is neither."""
    folder = Path(folder)
    for root in (folder, folder / HOME, folder / HOME / HOME):
        if any((root / split).is_dir() for split in SPLITS):
            return {split: _jpegs(root / split) for split in SPLITS}
    raise UserError(f"{folder}: it holds neither `{HOME}` nor train and val; give the folder of Kaggle's archive")


def _jpegs(folder: Path) -> list[Path]:
    files = [path for path in folder.glob("[!.]*") if path.suffix.lower() in (".jpg", ".jpeg")]
    return sorted(files, key=lambda path: ([int(part) for part in re.findall(r"[0-9]+", path.stem)], path.name))
