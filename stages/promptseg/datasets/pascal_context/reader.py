"""Pascal Context: images of Pascal VOC 2010 in which every pixel was labeled; the 59 most frequent classes of 459.

Layout, the images at the given folder, or at VOCdevkit, VOC2010 or VOCdevkit/VOC2010 below it:
    JPEGImages/<name>.jpg                                    those in neither list are not read
    ImageSets/Main/{train,val}.txt                           4,998 and 5,105 names, one a line
and the labels beside these folders or at the given folder, either as released,
    trainval/<name>.mat                                      MATLAB 5, LabelMap: 0-459
    labels.txt                                               `2: aeroplane`, ...; the numbers are checked against it
or as toolboxes convert them,
    SegmentationClassContext/<name>.png                      8-bit gray: 0, and 1-59 in the order of CLASSES
    ImageSets/SegmentationContext/{train,val}.txt            in place of ImageSets/Main, where they are
Ignored is what is of none of the 59 classes, as in the benchmark of 59 classes: 0, not labeled, and the other 400
labels. So every pixel that counts is of a class.

Trap: 59_labels.txt of the official page has other numbers than the maps, and names three classes otherwise than
labels.txt (diningtable, bedcloth, clothes for table, bedclothes, cloth); it is not read.

Split: `val` is the test split, as the labels of the official test set are not public; preprocessing takes a validation
split from `train`. A listed name with neither image nor labels is left out, so that a subset of the data can be used.
Which images are related is not published, so each is a group of its own, but for near-duplicates, which are looked for.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError, of_system
from promptseg.data import image_io
from promptseg.data.file_names import listed
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, find_root
from promptseg.datasets.voc.palette import IGNORED
from promptseg.datasets.voc.reader import read_lists
from promptseg.download import archives

TITLE = "Pascal Context, 59 classes"
LICENCE = "photos of Flickr, under its terms of use, given out for research: host.robots.ox.ac.uk/pascal/VOC"
CITATION = (
    "R. Mottaghi, X. Chen, X. Liu, N.-G. Cho, S.-W. Lee, S. Fidler, R. Urtasun, A. Yuille, The role of context for "
    "object detection and semantic segmentation in the wild, CVPR 2014, doi:10.1109/CVPR.2014.119"
)
ACCESS = "automatic"
NUMBERS = {  # in LabelMap
    "aeroplane": 2, "bag": 9, "bed": 18, "bedclothes": 19, "bench": 22, "bicycle": 23, "bird": 25, "boat": 31,
    "book": 33, "bottle": 34, "building": 44, "bus": 45, "cabinet": 46, "car": 59, "cat": 65, "ceiling": 68,
    "chair": 72, "cloth": 80, "computer": 85, "cow": 98, "cup": 104, "curtain": 105, "dog": 113, "door": 115,
    "fence": 144, "floor": 158, "flower": 159, "food": 162, "grass": 187, "ground": 189, "horse": 207,
    "keyboard": 220, "light": 232, "motorbike": 258, "mountain": 259, "mouse": 260, "person": 284, "plate": 295,
    "platform": 296, "pottedplant": 308, "road": 324, "rock": 326, "sheep": 347, "shelves": 349, "sidewalk": 354,
    "sign": 355, "sky": 360, "snow": 366, "sofa": 368, "table": 397, "track": 415, "train": 416, "tree": 420,
    "truck": 424, "tvmonitor": 427, "wall": 440, "water": 445, "window": 454, "wood": 458,
}  # fmt: skip
CLASSES = tuple(NUMBERS)
WORDS = {"pottedplant": "potted plant", "tvmonitor": "tv monitor"}
SPLIT_SIZES = {"train": 4998, "test": 5105}
CHECK_DUPLICATES = True

IMAGES_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar"  # 1.3 GB
IMAGES_MD5 = "da459979d0c395079b5c75ee67908abb"
LABELS_URL = "https://cs.stanford.edu/~roozbeh/pascal-context/trainval.tar.gz"
LARGEST = 459  # label
_PNG_LABELS = {value: value or IGNORED for value in (*range(len(CLASSES) + 1), IGNORED)}
_MAT_LABELS = np.full(LARGEST + 1, IGNORED, np.uint8)
_MAT_LABELS[list(NUMBERS.values())] = range(1, len(CLASSES) + 1)


def download(folder: Path) -> None:
    """Download and unpack labels and images, then delete what only other tasks of VOC 2010 use.

    Raises:
        UserError: one of them cannot be downloaded; the message says how to get it by hand.
    """
    folder = Path(folder)
    archives.download(LABELS_URL, folder)
    archives.download(IMAGES_URL, folder, md5=IMAGES_MD5)
    # What is never read would be copied and hashed with every stage.
    for unused in ("Annotations", "SegmentationClass", "SegmentationObject", "ImageSets/Action", "ImageSets/Layout"):
        shutil.rmtree(_find_root(folder) / unused, ignore_errors=True)


def read(folder: Path) -> Iterator[Sample]:
    """Read the images of train, then of val, by name.

    Args:
        folder: holds the official layout.

    Returns:
        Samples whose image is (h, w, 3) uint8 and whose mask is (h, w) uint8 of 1-59 and 255.

    Raises:
        UserError: at once, where a file lacks its counterpart, a list is missing or damaged, or labels.txt has other
            numbers.
    """
    root = _find_root(Path(folder))
    context = root / "ImageSets" / "SegmentationContext"
    splits = read_lists(context if context.is_dir() else root / "ImageSets" / "Main")
    labels, suffix = _find_labels(Path(folder), root)
    images = {Path(name).stem for name in listed(root / "JPEGImages", ".jpg", "unpack the archive again")}
    masks = {Path(name).stem for name in listed(labels, suffix, "unpack the archive again")}
    files = (lambda name: root / f"JPEGImages/{name}.jpg"), (lambda name: labels / f"{name}{suffix}")
    check_pairs(images & splits.keys(), masks & splits.keys(), *files)
    names = sorted((split == "test", name) for name, split in splits.items() if name in images)
    if not names:
        raise UserError(f"{root}: no listed image with labels; unpack the archive again")
    read_mask = _read_mat if suffix == ".mat" else _read_png
    return (file_sample(name, splits[name], name, files[0](name), files[1](name), read_mask) for _, name in names)


def _find_root(folder: Path) -> Path:
    remedy = "no VOCdevkit/VOC2010/JPEGImages found; give the folder of the unpacked archives"
    return find_root(folder, ("", "VOCdevkit", "VOC2010", "VOCdevkit/VOC2010"), ["JPEGImages"], remedy)


def _find_labels(folder: Path, root: Path) -> tuple[Path, str]:
    """Find the folder of the labels and the suffix of its files; labels.txt beside it has the expected numbers."""
    if (root / "SegmentationClassContext").is_dir():
        return root / "SegmentationClassContext", ".png"
    home = next((home for home in (folder, root) if (home / "trainval").is_dir()), None)
    if home is None:
        raise UserError(f"{folder}: neither trainval nor SegmentationClassContext; unpack trainval.tar.gz into it")
    if (home / "labels.txt").is_file():
        lines = (home / "labels.txt").read_text("utf-8", "replace").splitlines()
        numbers = {name.strip(): number.strip() for number, _, name in (line.partition(":") for line in lines)}
        for name, number in NUMBERS.items():
            if numbers.get(name) != str(number):
                raise UserError(f"{home / 'labels.txt'}: {name} is not {number}, as in the official files; restore it")
    return home / "trainval", ".mat"


def _read_png(path: Path) -> np.ndarray:
    """Read a converted map, (h, w) uint8. Raises UserError for other values."""
    return image_io.read_mask(path, _PNG_LABELS)


def _read_mat(path: Path) -> np.ndarray:
    """Read a released map, (h, w) uint8. Raises UserError where it is damaged or has labels above 459."""
    from scipy import io  # 0.2 s

    try:
        labels = np.asarray(io.loadmat(path, variable_names=["LabelMap"])["LabelMap"])
    except Exception as error:  # on damaged files scipy raises anything
        reason = " ".join(str(error).split()) or type(error).__name__
        damaged = UserError(f"{path}: no LabelMap can be read ({reason:.80}); unpack the archive again")
        raise of_system(error, path) or damaged from None
    if labels.ndim != 2 or labels.dtype.kind not in "iuf" or not labels.size:
        raise UserError(f"{path}: LabelMap is no map of numbers; unpack the archive again")
    known = (labels >= 0) & (labels <= LARGEST)
    if not known.all():
        raise UserError(f"{path}: the mask holds {labels[~known][0]:g} at {(~known).sum()} pixels; labels are 0 to 459")
    return _MAT_LABELS[labels.astype(np.int64)]
