"""FSS-1000: a thousand classes of ten photos each, for few-shot segmentation: one object against the rest.

Layout (the archive's folder name stands once or twice, or not at all):
    fewshot_data/<class>/{1..10}.jpg  {1..10}.png    a photo and its mask, mostly 224x224
    fss_test_set.txt                                 the names of the 240 test classes, with CRLF line ends
The list is no part of the archive: it lies in the authors' repository, github.com/HKUSTCV/FSS-1000. It is looked for
in the given folder and in those between it and the classes.

Traps:
- Masks are RGBA 0..255, RGB 0/1, or gray: each is cut at half of its own maximum. The RGBA ones look as if once JPEGs:
  0..5 and 250..255, soft rims, and channels that differ by up to 25 of 255, so that they are read as pictures are. A
  photo in the place of a mask would pass that, so much color, or much gray between the ends, is refused.
- Some classes have a photo as `1.jpeg` beside `1.jpg` and `1.png` (issue 8 there): it is no part of the data.
- The mask of peregine_falcon/8 is 480x960 for a photo of 224x224: this pair is left out.
- Six pairs are larger than 224x224, up to 1024x700 (same issue).

Split: the listed classes are the test split, as in the paper; its validation classes were never published, so that
preprocess draws some of the other 760. A class is one group, so none is in two splits. Without the list no picture has
a split, and test classes are drawn too.
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
from promptseg.datasets.fss.scene import draw
from promptseg.download import archives, http
from promptseg.synthetic.shapes import FIGURES

TITLE = "FSS-1000"
LICENCE = "none is published with it; photos from the web, for research: github.com/HKUSTCV/FSS-1000"
CITATION = (
    "X. Li, T. Wei, Y. P. Chen, Y.-W. Tai, C.-K. Tang, FSS-1000: a 1000-class dataset for few-shot segmentation, "
    "CVPR 2020, arXiv:1907.12347"
)
ACCESS = "automatic"
CLASSES = ("object",)
SPLIT_SIZES = {"train": 7600, "test": 2399}  # 760 and 240 classes of ten, less the broken pair

DRIVE = "16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI"
LIST = "fss_test_set.txt"
LIST_URL = f"https://raw.githubusercontent.com/HKUSTCV/FSS-1000/4157351078fc1c574101c38d75604e0d90dc02e0/{LIST}"
LIST_SHA256 = "d7b2c5deff8fb65435f146180bf1f22c4be837d2634f5daa01bcbaac8a115246"
FOLDER = "fewshot_data"
BROKEN = {"peregine_falcon/8"}
TESTED = ("bucket", "coffee_mug", "fish", "guitar", "key", "wooden_spoon")  # of the sample; all are in the real list
PER_CLASS = 6  # pictures of the sample
COLOR = 64  # channels of a mask that differ by more are no noise
STRANGE = 0.2  # share of a mask that may be colored, or lie between a quarter and three quarters of its maximum

_NUMBERED = re.compile(r"([0-9]{1,6})\.(jpg|png)")


def download(folder: Path) -> None:
    """Fetch the list of test classes and the archive, and unpack it. Raises UserError where either cannot be had.

    No checksum of the archive is published; that of the list is of the one version that there is.
    """
    http.fetch(LIST_URL, folder / LIST, sha256=LIST_SHA256)
    archive = folder / f"{FOLDER}.zip"
    http.fetch(http.drive(DRIVE), archive)
    archives.unpack(archive, folder)
    archive.unlink()


def verify(folder: Path) -> None:
    """Raise UserError if there is no pair, a photo or a mask is alone, or the list leaves no class to train on."""
    classes, tested = _classes(Path(folder))
    if tested is not None and classes.keys() <= tested:
        raise UserError(f"{folder}: {LIST} names every class here; add classes to train on, or remove the list")


def read(folder: Path) -> Iterator[Sample]:
    """Pictures by class name, then by number. Raises UserError at once where names do not pair.

    image() is (h, w, 3) or (h, w) uint8, mask() is (h, w) with 1 on the object, in the photo's own size.
    """
    classes, tested = _classes(Path(folder))
    return (
        _picture(home, number, numbers, None if tested is None else "test" if name in tested else "train")
        for name, (home, numbers) in classes.items()
        for number in numbers
    )


def sample(folder: Path, seed: int) -> None:
    """Draw everyday objects of 16 classes, 224x224, their masks in the encodings that the official files have."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in sorted(FIGURES):
        home = folder / FOLDER / kind
        home.mkdir(parents=True)
        for place, number in enumerate(sorted(rng.choice(np.arange(1, 11), PER_CLASS, replace=False))):
            photo, cover = draw(rng, kind)
            (home / f"{number}.jpg").write_bytes(_jpeg(photo))
            (home / f"{number}.png").write_bytes(_encoded(cover, place % 3))
    (folder / LIST).write_bytes("\r\n".join(TESTED).encode("ascii"))


def _picture(home: Path, number: int, numbers: list[int], split: str | None) -> Sample:
    photo = home / f"{number}.jpg"
    others = [other for other in numbers if other != number]
    return Sample(
        id=f"{home.name}/{number}",
        split=split,
        group=home.name,
        image=partial(image_io.read_image, photo),
        mask=partial(_mask, home / f"{number}.png"),
        text=home.name.replace("_", " "),
        support=partial(_support, home, number, others) if others else None,
        file=photo,
    )


def _support(home: Path, number: int, others: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Another picture of the class and its mask, picked by a digest of the id: more classes change nothing.

    One whose mask is empty shows nothing, so the next one is taken.
    """
    first = int.from_bytes(hashlib.sha256(f"{home.name}/{number}".encode()).digest()[:6]) % len(others)
    for other in others[first:] + others[:first]:
        mask = _mask(home / f"{other}.png")
        if mask.any():
            image = image_io.read_image(home / f"{other}.jpg")
            image_io.check_pair(image, mask, home / f"{other}.jpg")
            return image, mask
    raise UserError(f"{home}: no picture with an object but {number}.jpg; it needs one more as support")


def _mask(path: Path) -> np.ndarray:
    """(h, w) uint8 of 0 and 1: what lies above half of the file's own maximum. Raises UserError at a photo."""
    values = image_io.read_gray(path)
    if values.ndim == 3:
        colored = (np.ptp(values, axis=2) > COLOR).mean()
        values = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    else:
        colored = 0.0
    top = int(values.max())
    between = ((values > 0.25 * top) & (values < 0.75 * top)).mean()
    if max(colored, between) > STRANGE:
        how = f"{colored:.0%} of it is colored" if colored > between else f"{between:.0%} of it is gray"
        raise UserError(f"{path}: {how}, where a mask is black and white; fetch it again")
    return (values > top / 2).astype(np.uint8)


def _classes(folder: Path) -> tuple[dict[str, tuple[Path, list[int]]], set[str] | None]:
    """({class: (its folder, numbers of its pairs)} by name, the names of the test classes or None without a list)."""
    for root in (folder, folder / FOLDER, folder / FOLDER / FOLDER):
        classes = {home.name: (home, _numbers(home)) for home in _homes(root)}
        classes = {name: (home, numbers) for name, (home, numbers) in classes.items() if numbers}
        if classes:
            return classes, _tested([parent for parent in (folder, folder / FOLDER, root) if parent.is_dir()])
    raise UserError(f"{folder}: neither {FOLDER}/<class>/1.jpg nor <class>/1.jpg is there; unpack {FOLDER}.zip here")


def _homes(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    homes = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    for home in homes:
        if not home.name.isprintable():
            raise UserError(f"{root}: the name {home.name!r} holds characters that cannot be shown; rename the folder")
    return homes


def _numbers(home: Path) -> list[int]:
    """The numbers of a class's pairs, in order. Raises UserError where a photo or a mask is alone."""
    found: dict[str, set[int]] = {"jpg": set(), "png": set()}
    for path in home.iterdir():
        if (match := _NUMBERED.fullmatch(path.name)) and f"{home.name}/{match[1]}" not in BROKEN:
            if match[1] != str(int(match[1])):
                raise UserError(f"{path}: name it {int(match[1])}.{match[2]}, without zeros in front")
            found[match[2]].add(int(match[1]))
    for number in sorted(found["jpg"] ^ found["png"])[:1]:
        have, lack = ("jpg", "png") if number in found["jpg"] else ("png", "jpg")
        what = "mask" if lack == "png" else "photo"
        raise UserError(f"{home / f'{number}.{lack}'}: not found; {number}.{have} needs this {what}: unpack it again")
    return sorted(found["jpg"])


def _tested(places: list[Path]) -> set[str] | None:
    for path in (place / LIST for place in places):
        if not path.is_file():
            continue
        try:
            names = {line.strip() for line in path.read_text("utf-8").splitlines()} - {""}
        except ValueError:
            names = set()
        if not names or any("<" in name or "/" in name for name in names):
            raise UserError(f"{path}: no list of class names, one a line; fetch it again, or remove it")
        return names
    return None


def _jpeg(photo: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _encoded(cover: np.ndarray, encoding: int) -> bytes:
    """PNG bytes of (h, w) uint8 coverage: noisy RGBA with soft rims, RGB of 0 and 1, or gray of 0 and 255."""
    if encoding == 0:
        channels = [np.clip(cover, 4, 251), cover, cover, np.full_like(cover, 255)]
        return cv2.imencode(".png", np.dstack(channels))[1].tobytes()
    hard = (cover > 127).astype(np.uint8)
    return image_io.png(np.dstack([hard] * 3) if encoding == 1 else hard * 255)
