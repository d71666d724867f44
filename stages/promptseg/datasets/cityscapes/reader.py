"""Cityscapes, fine annotations: street scenes of 27 cities (train and val), seen from a driving car.

Layout, as the two official archives give it; each part may also lie one folder deeper, where they were unpacked apart:
    leftImg8bit/{train,val}/<city>/<city>_<sequence>_<frame>_leftImg8bit.png       photo, RGB 2048x1024
    gtFine/{train,val}/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png        8-bit gray, ids 0 to 33
`gtFine` also holds instanceIds (16 bits), color and polygons, which are not read. A picture and its mask share what
stands before `_leftImg8bit` and `_gtFine`.

Ids 0 to 6 are void (the car itself, borders, what no class fits) and ignored; class = id - 6 for the others, all of
them, also the 8 that the official evaluation leaves out. `test` has no public labels (its masks are void), so it is
skipped, and the official `val` is our test split, as in the literature. A city is a group: frames of one drive resemble
each other, and the official splits do not share cities, so what becomes our validation split must be whole cities too.
"""

import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import requests

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets import Sample
from promptseg.datasets.cityscapes.classes import CLASSES, VOID
from promptseg.datasets.cityscapes.scene import STYLES, png, street_scene
from promptseg.download import archives
from promptseg.download.partial import cache

TITLE = "Cityscapes, fine annotations"
LICENCE = "non-commercial research and teaching, on registration: cityscapes-dataset.com/license"
CITATION = (
    "M. Cordts, M. Omran, S. Ramos, T. Rehfeld, M. Enzweiler, R. Benenson, U. Franke, S. Roth, B. Schiele, "
    "The Cityscapes dataset for semantic urban scene understanding, CVPR 2016, doi:10.1109/CVPR.2016.350"
)
ACCESS = "login"
SPLIT_SIZES = {"train": 2975, "test": 500}

PACKAGES = ("gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip")
REGISTER = "register at cityscapes-dataset.com"
STORE = "run `csDownload -l` and let it store your login"
BY_HAND = (
    f"{REGISTER}, download gtFine_trainvaltest.zip (0.24 GB) and leftImg8bit_trainvaltest.zip "
    "(11 GB), put both into one folder, and set datasets.cityscapes.source in params.yaml to that folder; nothing else "
    "is needed"
)
SPLITS = {"train": "train", "val": "test"}  # theirs: ours
IMAGES, MASKS = ("leftImg8bit", "_leftImg8bit.png"), ("gtFine", "_gtFine_labelIds.png")
SAMPLE = {
    "train": {"altenau": "old town", "blumfeld": "blocks", "cronbach": "suburb", "dornsee": "new"},
    "val": {"eichwalde": "brick", "fernheim": "blocks"},
}  # cities of our own, and the style that each is drawn in
SAMPLE_PICTURES = {"train": 7, "val": 8}  # of each city
_LABELS = {i: 255 if i < VOID else i - VOID + 1 for i in range(VOID + len(CLASSES))}


def missing_login() -> str:
    """What to do before download gets in: register, get the tool, and let it store the login where it looks for it."""
    try:
        from cityscapesscripts.download import downloader  # noqa: F401
    except ImportError:
        return f"{REGISTER}, `pip install cityscapesscripts`, then {STORE}"
    import appdirs  # a part of the tool's own needs

    stored = Path(appdirs.user_data_dir("cityscapesscripts", "cityscapes")) / "credentials.json"
    return "" if stored.is_file() else f"{REGISTER}, then {STORE}"


def download(folder: Path) -> None:
    """Fetch both archives through cityscapesscripts, which knows the login, checks their MD5 and resumes.

    What has come of an archive when the connection breaks is kept in our download cache for the next try. Raises
    UserError with what to do by hand, if cityscapesscripts is not installed, has no login, or does not get the files.
    """
    try:
        from cityscapesscripts.download import downloader
    except ImportError:
        raise UserError(
            f"cityscapes: `pip install cityscapesscripts` and run `csDownload -l` to store a login, or {BY_HAND}"
        ) from None
    place = cache() / "cityscapes"
    place.mkdir(parents=True, exist_ok=True)
    with open(os.devnull, "w") as nowhere:  # it prints a line for each kilobyte
        with contextlib.nullcontext() if sys.stdout.isatty() else contextlib.redirect_stdout(nowhere):
            session = _tried(lambda: _login(downloader))
            for name in PACKAGES:
                _tried(lambda: _get(downloader, session, name, place))
                # Each has a README and a licence, so each goes into a folder of its own.
                archives.unpack(place / name, folder / Path(name).stem)
                (place / name).unlink()
    counts = Counter(SPLITS[split] for split, *_ in _pairs(folder))
    if counts != SPLIT_SIZES:
        raise UserError(f"{folder}: {dict(counts)} pairs came, {SPLIT_SIZES} are official; download it again, or {BY_HAND}")


def verify(folder: Path) -> None:
    """Raise UserError with the first thing that is wrong: a part missing, a photo or a mask alone, a city in two splits.

    Some cities, or some pictures of them, are enough, from train and from val; pixels are checked when they are read.
    """
    found = {split for split, *_ in _pairs(folder)}
    for split in SPLITS:
        if split not in found:
            raise UserError(f"{folder}: no pictures in {IMAGES[0]}/{split}; copy this part of the official data as well")


def read(folder: Path) -> Iterator[Sample]:
    """Pictures by split (train, then val as test), city, sequence and frame; a city is a group.

    image() is (h, w, 3) uint8, mask() (h, w) uint8 with i for CLASSES[i - 1] and 255 where void. Raises UserError at once
    where names do not pair.
    """
    return (
        Sample(
            id=f"{split}/{city}/{stem}",
            split=SPLITS[split],
            group=city,
            image=partial(image_io.read_image, image),
            mask=partial(image_io.read_mask, mask, _LABELS),
            file=image,
        )
        for split, city, stem, image, mask in _pairs(folder)
    )


def sample(folder: Path, seed: int) -> None:
    """Draw 44 streets of six invented cities, 512x256; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    for split, cities in SAMPLE.items():
        for city, style in cities.items():
            homes = [Path(folder) / part / split / city for part, _ in (IMAGES, MASKS)]
            for home in homes:
                home.mkdir(parents=True)
            for number in range(SAMPLE_PICTURES[split]):
                stem = f"{city}_{number:06d}_000019"
                for home, (_, end), array in zip(homes, (IMAGES, MASKS), street_scene(rng, STYLES[style])):
                    (home / f"{stem}{end}").write_bytes(png(array))


def _login(downloader: ModuleType):
    """The tool's session. It asks for a login that it has not stored; away from a terminal it is not left waiting."""
    if sys.stdin is not None and sys.stdin.isatty():
        return downloader.login()
    before = sys.stdin
    with open(os.devnull) as sys.stdin:
        try:
            return downloader.login()
        finally:
            sys.stdin = before


def _get(downloader: ModuleType, session, name: str, place: Path) -> None:
    try:
        downloader.download_packages(session=session, package_names=[name], destination_path=str(place), resume=True)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        raise  # what has come is good
    except Exception:
        (place / name).unlink(missing_ok=True)  # such as a wrong checksum, on which it would build again
        raise


def _tried(call):
    try:
        return call()
    except EOFError:
        reason = f"no login is stored; {STORE}"
    except Exception as error:  # most of its own errors are of this very class
        reason = " ".join(str(error).split())[:160] or type(error).__name__
    raise UserError(f"cityscapes: csDownload: {reason}; or {BY_HAND}")


def _pairs(folder: Path) -> list[tuple[str, str, str, Path, Path]]:
    """(split, city, stem, photo, mask) of every pair, in order. Raises UserError at the first thing that is wrong."""
    images, masks = (_found(Path(folder), *part) for part in (IMAGES, MASKS))
    for key in sorted(images.keys() ^ masks.keys())[:1]:
        have, (part, end) = (images[key], MASKS) if key in images else (masks[key], IMAGES)
        split, city, *_, stem = key
        raise UserError(f"{have}: {part}/{split}/{city}/{stem}{end} is missing; unpack it again, or delete this one")
    if not images:
        raise UserError(f"{folder}: no pictures in {IMAGES[0]}/{{train,val}}/<city>; unpack both archives again")
    splits: dict[str, str] = {}
    for split, city, *_ in images:
        if splits.setdefault(city, split) != split:
            raise UserError(f"{folder}: {city} is in train and in val, which would leak; take it out of one of them")
    return [(key[0], key[1], key[-1], images[key], masks[key]) for key in sorted(images)]


def _found(folder: Path, part: str, end: str) -> dict[tuple, Path]:
    """Files below `part` by (split, city, sequence, frame, stem). Raises UserError where a name says another city."""
    name = re.compile(r"(.+)_([0-9]+)_([0-9]+)" + re.escape(end))
    found = {}
    for city in sorted(city for split in SPLITS for city in _part(folder, part).glob(f"{split}/*") if city.is_dir()):
        for path in sorted(city.glob(f"*{end}")):
            match = name.fullmatch(path.name)
            if path.name.startswith("."):
                continue  # what systems and unpackers leave behind
            if not match or match[1] != city.name:
                raise UserError(f"{path}: name it {city.name}_<sequence>_<frame>{end}, or move it to its city's folder")
            stem = path.name.removesuffix(end)
            found[city.parent.name, city.name, int(match[2]), int(match[3]), stem] = path
    return found


def _part(folder: Path, part: str) -> Path:
    """The folder of that name: in `folder`, or in one folder below. Raises UserError if there is none, or two."""
    below = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
    homes = [home / part for home in (folder, *below) if any((home / part / split).is_dir() for split in SPLITS)]
    if len(homes) == 1:
        return homes[0]
    if homes:
        raise UserError(f"{folder}: both {homes[0]} and {homes[1]}; keep one of them")
    raise UserError(f"{folder}: no `{part}` with train and val; unpack {PACKAGES[part == IMAGES[0]]} there")
