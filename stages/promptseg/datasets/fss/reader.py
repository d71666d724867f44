"""FSS-1000: 1000 classes of ten images each, for few-shot segmentation of one foreground object.

Layout (the name of the archive's folder appears once, twice or not at all):
    fewshot_data/<class>/{1..10}.jpg  {1..10}.png    an image and its mask, mostly 224x224
    fss_test_set.txt                                 the names of the 240 test classes, with CRLF line ends
The list is not part of the archive but of the authors' repository, github.com/HKUSTCV/FSS-1000. It is looked up in the
given folder and in the folders between it and the classes.

Traps:
- Masks are RGBA of 0..255, RGB of 0/1, or gray: each is thresholded at half of its own maximum. The RGBA masks look as
  if they had been JPEGs: values 0..5 and 250..255, soft edges, and channels that differ by up to 25 of 255, so they are
  decoded as images. An image in place of a mask would pass the threshold, so masks with much color, or many values in
  between, are rejected.
- Some classes have an image as `1.jpeg` in addition to `1.jpg` and `1.png` (issue 8 there): it is not part of the data.
- The mask of peregine_falcon/8 is 480x960 for an image of 224x224: this pair is left out.
- Six pairs are larger than 224x224, up to 1024x700 (same issue).

Split: the listed classes are the test split, as in the paper. Its validation classes were never published, so
preprocessing takes some of the other 760. A class is one group and is therefore never in two splits. Without the list
no sample has a split, and test classes are selected as well. Near-duplicates are not looked for: a class is one group
already, and small images of different objects on white look alike.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample
from promptseg.download import archives, http

TITLE = "FSS-1000"
LICENCE = "none is published with it; photos from the web, for research: github.com/HKUSTCV/FSS-1000"
CITATION = (
    "X. Li, T. Wei, Y. P. Chen, Y.-W. Tai, C.-K. Tang, FSS-1000: a 1000-class dataset for few-shot segmentation, "
    "CVPR 2020, arXiv:1907.12347"
)
ACCESS = "automatic"
CLASSES = ("object",)
GROUP_UNIT = "class"
SPLIT_SIZES = {"train": 7600, "test": 2399}  # 760 and 240 classes of ten, less the broken pair

DRIVE = "16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI"
LIST = "fss_test_set.txt"
LIST_URL = f"https://raw.githubusercontent.com/HKUSTCV/FSS-1000/4157351078fc1c574101c38d75604e0d90dc02e0/{LIST}"
LIST_SHA256 = "d7b2c5deff8fb65435f146180bf1f22c4be837d2634f5daa01bcbaac8a115246"
FOLDER = "fewshot_data"
REQUIRED = {"train": f"classes that {LIST} does not name"}
BROKEN = {"peregine_falcon/8"}
MAX_COLOR_NOISE = 64  # channels of a mask may differ by so much and still count as gray
MAX_OUTLIERS = 0.2  # share of a mask that may be colored, or lie between a quarter and three quarters of its maximum

_NUMBERED = re.compile(r"([0-9]{1,6})\.(jpg|png)")


def download(folder: Path) -> None:
    """Download the list of test classes and the archive, and unpack it.

    The checksum of the list is that of its only version; none is published for the archive.

    Raises:
        UserError: one of them cannot be downloaded; the message says how to get it by hand.
    """
    http.fetch(LIST_URL, folder / LIST, sha256=LIST_SHA256)
    archives.download(http.drive(DRIVE), folder, f"{FOLDER}.zip")


def read(folder: Path) -> Iterator[Sample]:
    """Read the images in the order of class and number.

    Args:
        folder: holds the official layout.

    Returns:
        Samples whose image is (h, w, 3) or (h, w) uint8 and whose mask is (h, w) uint8, 1 on the object. `text` is the
        class, `support` another image of it.

    Raises:
        UserError: at once, if images and masks do not pair.
    """
    classes, test_classes = _find_classes(Path(folder))
    return (
        _sample(home, number, numbers, None if test_classes is None else "test" if name in test_classes else "train")
        for name, (home, numbers) in classes.items()
        for number in numbers
    )


def _sample(home: Path, number: int, numbers: list[int], split: str | None) -> Sample:
    candidates = [candidate for candidate in numbers if candidate != number]
    support = partial(_read_support, home, number, candidates) if candidates else None
    files, text = (home / f"{number}.jpg", home / f"{number}.png"), home.name.replace("_", " ")
    return file_sample(f"{home.name}/{number}", split, home.name, *files, _read_mask, text=text, support=support)


def _read_support(home: Path, number: int, candidates: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Read another image of the class and its mask; the first candidate follows from a digest of the id.

    The choice thus does not depend on other classes. Candidates with an empty mask are skipped.
    """
    first = int.from_bytes(hashlib.sha256(f"{home.name}/{number}".encode()).digest()[:6]) % len(candidates)
    for candidate in candidates[first:] + candidates[:first]:
        mask = _read_mask(home / f"{candidate}.png")
        if mask.any():
            image = image_io.read_image(home / f"{candidate}.jpg")
            image_io.check_same_size(image.shape, mask.shape, home / f"{candidate}.jpg", home / f"{candidate}.png")
            return image, mask
    raise UserError(f"{home}: no image with an object other than {number}.jpg; add one as support image")


def _read_mask(path: Path) -> np.ndarray:
    """Threshold a mask at half of its maximum, (h, w) uint8 of 0 and 1. Raises UserError for an image."""
    values = image_io.read_gray(path)
    if values.ndim == 3:
        colored = (np.ptp(values, axis=2) > MAX_COLOR_NOISE).mean()
        values = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    else:
        colored = 0.0
    top = int(values.max())
    between = ((values > 0.25 * top) & (values < 0.75 * top)).mean()
    if max(colored, between) > MAX_OUTLIERS:
        outliers = f"{colored:.0%} of it is colored" if colored > between else f"{between:.0%} of it is gray"
        raise UserError(f"{path}: a mask should be black and white, but {outliers}; download it again")
    return (values > top / 2).astype(np.uint8)


def _find_classes(folder: Path) -> tuple[dict[str, tuple[Path, list[int]]], set[str] | None]:
    """Return {class: (folder, numbers of its pairs)} by name, and the test classes or None without a list."""
    for root in (folder, folder / FOLDER, folder / FOLDER / FOLDER):
        classes = {home.name: (home, _find_pairs(home)) for home in _class_folders(root)}
        classes = {name: (home, numbers) for name, (home, numbers) in classes.items() if numbers}
        if classes:
            places = [place for place in (folder, folder / FOLDER, root) if place.is_dir()]
            return classes, _read_test_classes(places)
    raise UserError(f"{folder}: neither {FOLDER}/<class>/1.jpg nor <class>/1.jpg found; unpack {FOLDER}.zip here")


def _class_folders(root: Path) -> list[Path]:
    """List the class folders, sorted. Raises UserError for unprintable names."""
    if not root.is_dir():
        return []
    homes = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    for home in homes:
        if not home.name.isprintable():
            raise UserError(f"{root}: the name {home.name!r} has unprintable characters; rename the folder")
    return homes


def _find_pairs(home: Path) -> list[int]:
    """Return the sorted numbers of the pairs of a class. Raises UserError where an image or a mask is missing."""
    found: dict[str, set[int]] = {"jpg": set(), "png": set()}
    for path in home.iterdir():
        if (match := _NUMBERED.fullmatch(path.name)) and f"{home.name}/{match[1]}" not in BROKEN:
            if match[1] != str(int(match[1])):
                raise UserError(f"{path}: rename it to {int(match[1])}.{match[2]}, without leading zeros")
            found[match[2]].add(int(match[1]))
    check_pairs(
        found["jpg"], found["png"], lambda number: home / f"{number}.jpg", lambda number: home / f"{number}.png"
    )
    return sorted(found["jpg"])


def _read_test_classes(folders: list[Path]) -> set[str] | None:
    """Read the first list found in the folders, None without one."""
    for path in (folder / LIST for folder in folders):
        if not path.is_file():
            continue
        try:
            names = {line.strip() for line in path.read_text("utf-8").splitlines()} - {""}
        except ValueError:
            names = set()
        if not names or any("<" in name or "/" in name for name in names):
            raise UserError(f"{path}: not a list of class names, one per line; download it again, or remove it")
        return names
    return None
