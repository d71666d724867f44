"""Pascal VOC 2012, its segmentation part: photos with things of 20 classes; and Pascal-5i, its folds for one-shot work.

Layout, at the given folder, or at VOCdevkit, VOC2012 or VOCdevkit/VOC2012 below it:
    JPEGImages/<name>.jpg                                    17,125 photos, most of them without a mask: not read
    SegmentationClass/<name>.png                             2,913 masks, palette PNG: 0, 1-20, 255 ignored
    ImageSets/Segmentation/{train,val,trainval}.txt          names, one a line (trainval is not read)
A mask's colors tell its classes, for a palette PNG as for one that was saved as RGB: programs that save a PNG again
renumber its palette, and its indices are then other classes. A gray mask holds the classes as numbers.

The labels of the official test set are not public, so `val` is the test split, as is usual, and preprocess takes its
validation split out of `train`. A listed name with neither photo nor mask is left out (a part of the data); masks in no
list are not read. Without lists no pair has a split. Nothing says which photos are related: each is a group of its own.

Pascal-5i (A. Shaban et al., One-Shot Learning for Semantic Segmentation, BMVC 2017, arXiv:1709.03410): in fold i, the
classes 5i+1 to 5i+5 are novel, the other 15 base. With `fold`, a row is a photo and one class in it, and its mask is
1 where that class is, 255 where ignored, 0 elsewhere. Test rows: the novel classes in photos of `val`. Train rows: the
base classes in photos of `train`; photos that show novel classes too are kept, and these are background there, as in
that paper. Each row is supported by another photo of its split with the class. Unlike in most papers, `train` is not
enlarged by SBD, small things are not left out (min_foreground does that), and the rows are all that there are, each
once with one support, in place of 1,000 drawn at random. Test rows share no photo with others; as preprocess takes its
validation split out of `train`, a photo of either of these two may support a row of the other.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import listed
from promptseg.datasets import Sample
from promptseg.datasets.voc.palette import IGNORED, from_colors, is_colored
from promptseg.datasets.voc.recipes import write
from promptseg.download import archives
from promptseg.download.http import fetch

TITLE = "Pascal VOC 2012, segmentation"
LICENCE = "photos of Flickr, under its terms of use, given out for research: host.robots.ox.ac.uk/pascal/VOC"
CITATION = (
    "M. Everingham, S. M. A. Eslami, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman, The Pascal Visual Object "
    "Classes Challenge: A Retrospective, International Journal of Computer Vision 111 (2015) 98-136, "
    "doi:10.1007/s11263-014-0733-5"
)
ACCESS = "automatic"
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
SPLIT_SIZES = {"train": 1464, "test": 1449}  # without a fold

# The address that the official page gives; it leads to another host of theirs, and the MD5 says what came.
URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
MD5, BYTES = "6cd6e144f989b92b3379bac3b3de84fd", 1_999_639_040
LISTS = {"train": "train", "val": "test"}
_WORDS = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
_LABELS = {value: value for value in (*range(21), IGNORED)}
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Options(params.Settings):
    """fold: 0 to 3 for one-shot rows of Pascal-5i, None for the 20 classes at once."""

    fold: Annotated[int, Field(ge=0, le=3)] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    split: str | None
    image: Path
    mask: Path


def classes(options: Options = Options()) -> tuple[str, ...]:
    """What 1, 2, ... in the masks mean."""
    return CLASSES if options.fold is None else ("object",)


def download(folder: Path) -> None:
    """Fetch and unpack the archive (2 GB), and keep what belongs to the segmentation part (about 0.4 GB)."""
    folder = Path(folder)
    archive = folder / URL.rsplit("/", 1)[1]
    fetch(URL, archive, md5=MD5, size=BYTES)
    archives.unpack(archive, folder)
    archive.unlink()
    pairs = _pairs(folder)
    for split, count in SPLIT_SIZES.items():
        found = sum(pair.split == split for pair in pairs)
        if found != count:
            raise UserError(f"{URL}: {found} pairs for {split}, where {count} are official; download again")
    # The photos of other tasks would be copied and hashed with every step, and are never read.
    for other in ("Annotations", "SegmentationObject", "ImageSets/Action", "ImageSets/Layout", "ImageSets/Main"):
        shutil.rmtree(_root(folder) / other, ignore_errors=True)
    wanted = {pair.image for pair in pairs}
    for photo in _root(folder).glob("JPEGImages/*.jpg"):
        if photo not in wanted:
            photo.unlink()


def verify(folder: Path, options: Options = Options()) -> None:
    """Raise UserError with the first thing that is wrong: a photo or mask alone, a damaged list, a fold without lists."""
    _chosen(folder, options)


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Pictures in the order train, val, then by name; with a fold, by class within a photo (id `<name>/<class>`).

    image(): (h, w, 3) uint8; mask(): (h, w) uint8 of 0-20 and 255, or with a fold 0, 1 and 255.
    With a fold every mask is decoded, one at a time, before the first Sample comes, to know which classes it shows:
    about 4 ms each, 12 s for all. Raises UserError at once where names do not pair.
    """
    pairs = _chosen(folder, options)
    if options.fold is None:
        return map(_whole, pairs)
    return _rows(pairs, options.fold)


def sample(folder: Path, seed: int) -> None:
    """Draw 26 scenes for train and 44 for val, in the official layout; every fold has test rows of its classes."""
    numbers = {name: number for number, name in enumerate(CLASSES, 1)}
    write(Path(folder) / "VOCdevkit" / "VOC2012", np.random.default_rng(seed), numbers)


def _chosen(folder: Path, options: Options) -> list[Pair]:
    """The pairs, fit for the options. Raises UserError."""
    pairs = _pairs(Path(folder))
    if options.fold is not None and {pair.split for pair in pairs} != {"train", "test"}:
        raise UserError(
            f"{_root(Path(folder)) / 'ImageSets' / 'Segmentation'}: a fold needs train.txt and val.txt, and photos of "
            "both; restore them, or leave out the option `fold`"
        )
    return pairs


def _pairs(folder: Path) -> list[Pair]:
    """Every photo with its mask, train before val, then by name. Raises UserError naming the first file that is alone."""
    root = _root(folder)
    homes = (root / "JPEGImages", ".jpg"), (root / "SegmentationClass", ".png")
    photos, masks = ({Path(name).stem for name in listed(*home, "unpack the archive again")} for home in homes)
    lists = root / "ImageSets" / "Segmentation"
    there = [name for name in LISTS if (lists / f"{name}.txt").is_file()]
    if len(there) == 1:
        raise UserError(f"{lists}: {there[0]}.txt is there alone; restore the other one of train.txt and val.txt")
    splits = _listed(lists) if there else dict.fromkeys(masks)  # a photo in no list may be one of the other tasks
    pairs = []
    for name, split in splits.items():
        image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        if (name in photos) != (name in masks):
            alone, missing = (image, mask) if name in photos else (mask, image)
            raise UserError(f"{missing}: not found; {alone.name} needs it: unpack it again")
        if name in photos:
            pairs.append(Pair(name, split, image, mask))
    if not pairs:
        raise UserError(f"{root}: no photo with a mask{' that is listed' if there else ''}; unpack the archive again")
    return sorted(pairs, key=lambda pair: (pair.split == "test", pair.name))


def _root(folder: Path) -> Path:
    """The folder that holds JPEGImages and SegmentationClass."""
    for root in (folder, folder / "VOCdevkit", folder / "VOC2012", folder / "VOCdevkit" / "VOC2012"):
        if (root / "SegmentationClass").is_dir():
            return root
    raise UserError(f"{folder}: no VOCdevkit/VOC2012/SegmentationClass in it; give the folder of the unpacked archive")


def _listed(folder: Path) -> dict[str, str]:
    """The split of every name in train.txt and val.txt. Raises UserError for what is no name, or stands there twice."""
    splits = {}
    for part, split in LISTS.items():
        path = folder / f"{part}.txt"
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            name = line.strip()
            if name and not _NAME.fullmatch(name):
                raise UserError(f"{path}, line {number}: {name!r} is no name of a photo, such as 2007_000032")
            if name in splits:
                raise UserError(f"{path}, line {number}: {name} is listed twice, here or in both lists; remove one")
            if name:
                splits[name] = split
    return splits


def _whole(pair: Pair) -> Sample:
    image, mask = partial(image_io.read_image, pair.image), partial(_mask, pair.mask)
    return Sample(pair.name, pair.split, pair.name, image, mask, file=pair.image)


def _rows(pairs: list[Pair], fold: int) -> Iterator[Sample]:
    """A Sample for every class of its side of the fold in every photo."""
    novel = set(range(5 * fold + 1, 5 * fold + 6))
    shown: dict[tuple[str, int], list[Pair]] = {}  # by split and class
    rows = []
    for pair in pairs:
        present = set(np.flatnonzero(np.bincount(_mask(pair.mask).ravel(), minlength=256))) - {0, IGNORED}
        for number in sorted(present & novel if pair.split == "test" else present - novel):
            rows.append((pair, int(number)))
            shown.setdefault((pair.split, int(number)), []).append(pair)
    for pair, number in rows:
        name = CLASSES[number - 1]
        yield Sample(
            id=f"{pair.name}/{name}",
            split=pair.split,
            group=pair.name,
            image=partial(image_io.read_image, pair.image),
            mask=partial(_class_mask, pair.mask, number),
            text=_WORDS.get(name, name),
            support=partial(_support, pair, number, shown[pair.split, number]),
            file=pair.image,
        )


def _support(pair: Pair, number: int, shown: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Photo and mask of another of the pairs that show the class, drawn by a digest of the row's id."""
    others, name = [other for other in shown if other.name != pair.name], CLASSES[number - 1]
    if not others:
        raise UserError(f"{pair.mask}: no other photo of its list shows a {name} to support it; add one")
    digest = hashlib.sha256(f"{pair.name}/{name}".encode()).digest()
    other = others[int.from_bytes(digest[:8]) % len(others)]
    return image_io.read_image(other.image), _class_mask(other.mask, number)


def _mask(path: Path) -> np.ndarray:
    """(h, w) uint8 of 0-20 and 255. Raises UserError for any other color, and for a mask that is no PNG or TIFF."""
    if not is_colored(path):
        return image_io.read_mask(path, _LABELS)
    labels, unknown = from_colors(image_io.rgb(image_io.read_image(path)))
    if len(unknown):
        color = tuple(unknown[0].tolist())
        raise UserError(f"{path}: the color {color} is none of VOC's, at {len(unknown)} pixels; use the original file")
    return labels


def _class_mask(path: Path, number: int) -> np.ndarray:
    """(h, w) uint8: 1 where the class is, 255 where ignored, 0 elsewhere."""
    mask = _mask(path)
    return np.where(mask == IGNORED, IGNORED, mask == number).astype(np.uint8)
