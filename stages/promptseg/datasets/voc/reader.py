"""Pascal VOC 2012 segmentation: images with objects of 20 classes, and its one-shot folds Pascal-5i.

Layout, at the given folder, or at VOCdevkit, VOC2012 or VOCdevkit/VOC2012 below it:
    JPEGImages/<name>.jpg                                    17,125 images; the many without a mask are not read
    SegmentationClass/<name>.png                             2,913 masks, palette PNG: 0, 1-20, 255 ignored
    ImageSets/Segmentation/{train,val,trainval}.txt          names, one per line (trainval is not read)

Trap: the class of a pixel follows from its color, in a palette PNG as in a mask that was saved as RGB. Programs that
save a PNG again renumber its palette, after which the indices stand for other classes. A gray mask holds class numbers.

Split: the labels of the official test set are not public, so `val` is the test split, as is usual, and preprocessing
takes a validation split from `train`. A listed name with neither image nor mask is left out, so that a subset of the
data can be used; masks in no list are not read. Without lists no sample has a split. Which images are related is not
published, so each is a group of its own, but for near-duplicates, which are looked for.

Pascal-5i (A. Shaban et al., One-Shot Learning for Semantic Segmentation, BMVC 2017, arXiv:1709.03410): in fold i, the
classes 5i+1 to 5i+5 are novel and the other 15 are base classes. With the option `fold`, a sample is an image and one
class in it; its mask is 1 where that class is, 255 where ignored, 0 elsewhere. Test samples are the novel classes in
images of `val`. Training samples are the base classes in images of `train`; images that contain novel classes too are
retained and these are background there, as in that paper. The support image is another image of the same list with the
class. Unlike in most papers, `train` is not extended by SBD, small objects are not removed (use min_foreground), and
every possible sample is used once with one support image, instead of 1,000 random ones. Test samples share no image
with the other splits. As preprocessing takes the validation split from `train`, an image of either of these two may be
the support image of a sample of the other.
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
from promptseg.datasets.official import check_pairs, file_sample, find_root
from promptseg.datasets.voc.palette import IGNORED, from_colors, is_colored
from promptseg.download import archives

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
WORDS = {"diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "tv monitor"}
SPLIT_SIZES = {"train": 1464, "test": 1449}  # without a fold
CHECK_DUPLICATES = True

# The address on the official page; it redirects to another host of theirs, and the MD5 checks what arrives.
URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
MD5, BYTES = "6cd6e144f989b92b3379bac3b3de84fd", 1_999_639_040
LISTS = {"train": "train", "val": "test"}
_LABELS = {value: value for value in (*range(21), IGNORED)}
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Options(params.Settings):
    """Reader options."""

    fold: Annotated[int, Field(ge=0, le=3)] | None = None  # of Pascal-5i, for one-shot samples; None: 20 classes


@dataclass(frozen=True, slots=True)
class Item:
    """An image file and its mask file."""

    name: str
    split: str | None
    image: Path
    mask: Path


def classes(options: Options = Options()) -> tuple[str, ...]:
    """Return the names of the mask values 1, 2, ...: the 20 classes, or with a fold one object class."""
    return CLASSES if options.fold is None else ("object",)


def download(folder: Path) -> None:
    """Download and unpack the archive (2 GB), then delete everything that segmentation does not use (1.6 GB).

    Raises:
        UserError: the archive cannot be downloaded, or does not hold the official numbers of images.
    """
    folder = Path(folder)
    archives.download(URL, folder, md5=MD5, size=BYTES)
    items = _find_items(folder)
    for split, expected in SPLIT_SIZES.items():
        count = sum(item.split == split for item in items)
        if count != expected:
            raise UserError(f"{URL}: {count} images for {split}, but the official number is {expected}; download again")
    # The images of other tasks are never read, but would be copied and hashed with every stage.
    for unused in ("Annotations", "SegmentationObject", "ImageSets/Action", "ImageSets/Layout", "ImageSets/Main"):
        shutil.rmtree(_find_root(folder) / unused, ignore_errors=True)
    used = {item.image for item in items}
    for path in _find_root(folder).glob("JPEGImages/*.jpg"):
        if path not in used:
            path.unlink()


def read(folder: Path, options: Options = Options()) -> Iterator[Sample]:
    """Read the images in the order train, val, then by name; with a fold, by class within an image.

    With a fold, every mask is decoded before the first sample is yielded, to find its classes: about 4 ms each, 12 s in
    total, one mask in memory at a time.

    Args:
        folder: holds the official layout.
        options: fold of Pascal-5i, if any.

    Returns:
        Samples whose image is (h, w, 3) uint8 and whose mask is (h, w) uint8 of 0-20 and 255. With a fold, the mask is
        of 0, 1 and 255, the id is `<name>/<class>`, `text` is the class and `support` another image of it.

    Raises:
        UserError: at once, where a file lacks its counterpart, a list is damaged, or a fold is requested without lists.
    """
    items = _find_items(Path(folder))
    if options.fold is None:
        return (file_sample(item.name, item.split, item.name, item.image, item.mask, _read_mask) for item in items)
    if {item.split for item in items} != {"train", "test"}:
        lists = _find_root(Path(folder)) / "ImageSets" / "Segmentation"
        raise UserError(
            f"{lists}: a fold needs train.txt and val.txt, with images of both; restore them, or remove the option fold"
        )
    return _fold_samples(items, options.fold)


def _find_items(folder: Path) -> list[Item]:
    """Find every image with its mask, train before val, then by name. Raises UserError where one is missing."""
    root = _find_root(folder)
    homes = (root / "JPEGImages", ".jpg"), (root / "SegmentationClass", ".png")
    images, masks = ({Path(name).stem for name in listed(*home, "unpack the archive again")} for home in homes)
    lists = root / "ImageSets" / "Segmentation"
    present = [name for name in LISTS if (lists / f"{name}.txt").is_file()]
    if len(present) == 1:
        raise UserError(f"{lists}: of train.txt and val.txt only {present[0]}.txt exists; restore the other one")
    splits = read_lists(lists) if present else dict.fromkeys(masks)  # an unlisted image may belong to another task
    files = (lambda name: root / f"JPEGImages/{name}.jpg"), (lambda name: root / f"SegmentationClass/{name}.png")
    check_pairs(images & splits.keys(), masks & splits.keys(), *files)
    items = [Item(name, split, files[0](name), files[1](name)) for name, split in splits.items() if name in images]
    if not items:
        raise UserError(f"{root}: no {'listed ' if present else ''}image with a mask; unpack the archive again")
    return sorted(items, key=lambda item: (item.split == "test", item.name))


def _find_root(folder: Path) -> Path:
    remedy = "no VOCdevkit/VOC2012/SegmentationClass found; give the folder of the unpacked archive"
    return find_root(folder, ("", "VOCdevkit", "VOC2012", "VOCdevkit/VOC2012"), ["SegmentationClass"], remedy)


def read_lists(folder: Path) -> dict[str, str]:
    """Read the split of every name in train.txt and val.txt.

    Raises:
        UserError: one of them is missing, or a name is invalid or repeated.
    """
    splits = {}
    for list_name, split in LISTS.items():
        path = folder / f"{list_name}.txt"
        if not path.is_file():
            raise UserError(f"{path}: not found; unpack the archive again")
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            name = line.strip()
            if name and not _NAME.fullmatch(name):
                raise UserError(f"{path}, line {number}: {name!r} is not the name of an image, such as 2007_000032")
            if name in splits:
                raise UserError(f"{path}, line {number}: {name} is listed twice, here or in both lists; remove one")
            if name:
                splits[name] = split
    return splits


def _fold_samples(items: list[Item], fold: int) -> Iterator[Sample]:
    """Yield a sample for every image and class of its side of the fold."""
    novel = set(range(5 * fold + 1, 5 * fold + 6))
    containing: dict[tuple[str | None, int], list[Item]] = {}  # by split and class
    selected = []
    for item in items:
        present = set(np.flatnonzero(np.bincount(_read_mask(item.mask).ravel(), minlength=256)).tolist()) - {0, IGNORED}
        for number in sorted(present & novel if item.split == "test" else present - novel):
            selected.append((item, number))
            containing.setdefault((item.split, number), []).append(item)
    for item, number in selected:
        name = CLASSES[number - 1]
        read_mask = partial(_read_class_mask, number=number)
        support = partial(_read_support, item, number, containing[item.split, number])
        about = f"{item.name}/{name}", item.split, item.name, item.image, item.mask
        yield file_sample(*about, read_mask, text=WORDS.get(name, name), support=support)


def _read_support(item: Item, number: int, containing: list[Item]) -> tuple[np.ndarray, np.ndarray]:
    """Read another image that contains the class and its mask; the choice follows from a digest of the id."""
    name, candidates = CLASSES[number - 1], [candidate for candidate in containing if candidate.name != item.name]
    if not candidates:
        raise UserError(f"{item.mask}: no other image of its list contains a {name} as support image; add one")
    digest = hashlib.sha256(f"{item.name}/{name}".encode()).digest()
    support = candidates[int.from_bytes(digest[:8]) % len(candidates)]
    return image_io.read_image(support.image), _read_class_mask(support.mask, number)


def _read_mask(path: Path) -> np.ndarray:
    """Read a mask, (h, w) uint8 of 0-20 and 255. Raises UserError for other colors and for files not PNG or TIFF."""
    if not is_colored(path):
        return image_io.read_mask(path, _LABELS)
    labels, unknown = from_colors(image_io.to_rgb(image_io.read_image(path)))
    if len(unknown):
        color = tuple(unknown[0].tolist())
        count = f"{len(unknown)} pixel{'s' if len(unknown) > 1 else ''}"
        raise UserError(f"{path}: the color {color} is not one of VOC's, at {count}; use the original file")
    return labels


def _read_class_mask(path: Path, number: int) -> np.ndarray:
    """Read the mask of one class, (h, w) uint8: 1 for the class, 255 ignored, 0 elsewhere."""
    mask = _read_mask(path)
    return np.where(mask == IGNORED, IGNORED, mask == number).astype(np.uint8)
