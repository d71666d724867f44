"""Cityscapes, fine annotations: street scenes of 27 cities (train and val), photographed from a moving car.

Layout of the two official archives; if they were unpacked apart, each part may lie one folder deeper:
    leftImg8bit/{train,val}/<city>/<city>_<sequence>_<frame>_leftImg8bit.png       photo, RGB 2048x1024
    gtFine/{train,val}/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png        8-bit gray, label ids 0 to 33
`gtFine` also holds instanceIds (16 bits), color and polygons, which are not read. An image and its mask share the name
before `_leftImg8bit` and `_gtFine`.

Traps:
- Of the ids, 19 are classes. Those that the official evaluation does not count are ignored (255), not background: 0 to
  6 (the ego vehicle, borders, what fits no class), and parking, rail track, guard rail, bridge, tunnel, polegroup,
  caravan and trailer. A license plate has no id in these files: it belongs to its car.
- `test` has no public labels (its masks are void) and is skipped. The official `val` is the test split here, as in
  most of the literature.
- Frames of one drive are alike, so a city is a group: the official splits share no city, and the validation split that
  is taken from train must consist of whole cities too.
"""

import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import requests

from promptseg.core.errors import UserError
from promptseg.data.image_io import read_mask
from promptseg.datasets import Sample
from promptseg.datasets.cityscapes.classes import CLASSES as CLASSES
from promptseg.datasets.cityscapes.classes import LABELS
from promptseg.datasets.official import file_sample, with_subfolders
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
GROUP_UNIT = "city"

PACKAGES = ("gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip")
REGISTER = "register at cityscapes-dataset.com"
STORE = "run `csDownload -l` and let it store your login"
BY_HAND = (
    f"{REGISTER}, download gtFine_trainvaltest.zip (0.24 GB) and leftImg8bit_trainvaltest.zip "
    "(11 GB), put both into one folder, and set download.cityscapes.source in params.yaml to that folder; nothing else "
    "is needed"
)
SPLITS = {"train": "train", "val": "test"}  # official split: split here
REQUIRED = {"train": "leftImg8bit/train", "test": "leftImg8bit/val"}
IMAGES, MASKS = ("leftImg8bit", "_leftImg8bit.png"), ("gtFine", "_gtFine_labelIds.png")


def missing_login() -> str:
    """Return what the user must do before `download` can log in, or an empty string.

    The steps are to register, to install cityscapesscripts and to let it store the login. Whether the login is valid is
    not checked.
    """
    try:
        from cityscapesscripts.download import downloader  # noqa: F401
    except ImportError:
        return f"{REGISTER}, `pip install cityscapesscripts`, then {STORE}"
    import appdirs  # a dependency of cityscapesscripts

    stored = Path(appdirs.user_data_dir("cityscapesscripts", "cityscapes")) / "credentials.json"
    return "" if stored.is_file() else f"{REGISTER}, then {STORE}"


def download(folder: Path) -> None:
    """Download both archives with cityscapesscripts, which logs in, resumes and checks their MD5, and unpack them.

    When the connection breaks, the received part of an archive stays in the download cache for the next attempt.

    Args:
        folder: folder to unpack into.

    Raises:
        UserError: with the steps by hand, if cityscapesscripts is not installed, has no login or fails, or if the
            archives do not hold the official number of images.
    """
    try:
        from cityscapesscripts.download import downloader
    except ImportError:
        raise UserError(
            f"cityscapes: `pip install cityscapesscripts` and run `csDownload -l` to store a login, or {BY_HAND}"
        ) from None
    cache_folder = cache() / "cityscapes"
    cache_folder.mkdir(parents=True, exist_ok=True)
    with open(os.devnull, "w") as devnull:  # noqa: SIM117 - the tool prints a line per kilobyte
        with contextlib.nullcontext() if sys.stdout.isatty() else contextlib.redirect_stdout(devnull):
            session = _with_user_errors(_login, downloader)
            for name in PACKAGES:
                _with_user_errors(_download_package, downloader, session, name, cache_folder)
                # Both archives have a README and a licence, so each is unpacked into a folder of its own.
                archives.unpack(cache_folder / name, folder / Path(name).stem)
                (cache_folder / name).unlink()
    counts = dict(Counter(SPLITS[split] for split, *_ in _list_pairs(folder)))
    if counts != SPLIT_SIZES:
        raise UserError(
            f"{folder}: {counts} images instead of the official {SPLIT_SIZES}; download it again, or {BY_HAND}"
        )


def read(folder: Path) -> Iterator[Sample]:
    """Read the images by split (train, then val as test), city, sequence and frame.

    Args:
        folder: folder with `leftImg8bit` and `gtFine`, each directly in it or one folder deeper.

    Yields:
        A sample per image: id `train/aachen/aachen_000000_000019`, group the city, image (h, w, 3) uint8, mask (h, w)
        uint8 with i for CLASSES[i - 1] and 255 for what is not counted.

    Raises:
        UserError: at the call, if images and masks do not pair by name.
    """
    return (
        file_sample(f"{split}/{city}/{stem}", SPLITS[split], city, image, mask, partial(read_mask, labels=LABELS))
        for split, city, stem, image, mask in _list_pairs(folder)
    )


def _login(downloader: ModuleType) -> object:
    """Open a session; away from a terminal, let the tool's prompt for a missing login fail instead of wait."""
    if sys.stdin is not None and sys.stdin.isatty():
        return downloader.login()
    before = sys.stdin
    with open(os.devnull) as sys.stdin:
        try:
            return downloader.login()
        finally:
            sys.stdin = before


def _download_package(downloader: ModuleType, session: object, name: str, folder: Path) -> None:
    """Download an archive, and delete what was received unless the connection broke."""
    try:
        downloader.download_packages(session=session, package_names=[name], destination_path=str(folder), resume=True)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        raise  # what was received is valid
    except Exception:
        (folder / name).unlink(missing_ok=True)  # a wrong checksum, for example: resuming would not repair the file
        raise


def _with_user_errors(call: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a call to the tool, and turn its errors into UserError."""
    try:
        return call(*args)
    except EOFError:
        reason = f"no login is stored; {STORE}"
    except Exception as error:  # the tool raises plain Exception
        reason = " ".join(str(error).split())[:160] or type(error).__name__
    raise UserError(f"cityscapes: csDownload: {reason}; or {BY_HAND}")


def _list_pairs(folder: Path) -> list[tuple[str, str, str, Path, Path]]:
    """List (split, city, stem, image, mask) in order. Raise UserError if a file has no partner or a city two splits."""
    images, masks = (_index_files(Path(folder), *part) for part in (IMAGES, MASKS))
    for key in sorted(images.keys() ^ masks.keys())[:1]:
        file, (part, suffix) = (images[key], MASKS) if key in images else (masks[key], IMAGES)
        split, city, *_, stem = key
        missing = f"{part}/{split}/{city}/{stem}{suffix}"
        raise UserError(f"{file}: {missing} is missing; unpack it again, or delete this file")
    if not images:
        raise UserError(f"{folder}: no images in {IMAGES[0]}/{{train,val}}/<city>; unpack both archives again")
    splits: dict[str, str] = {}
    for split, city, *_ in images:
        if splits.setdefault(city, split) != split:
            raise UserError(f"{folder}: {city} is in train and in val, which would leak; remove it from one of them")
    return [(key[0], key[1], key[-1], images[key], masks[key]) for key in sorted(images)]


def _index_files(folder: Path, part: str, suffix: str) -> dict[tuple[str, str, int, int, str], Path]:
    """Map (split, city, sequence, frame, stem) to the files of a part. Raise UserError if a name has another city."""
    pattern = re.compile(r"(.+)_([0-9]+)_([0-9]+)" + re.escape(suffix))
    root = _find_part(folder, part)
    files = {}
    for city in sorted(city for split in SPLITS for city in root.glob(f"{split}/*") if city.is_dir()):
        for path in sorted(city.glob(f"*{suffix}")):
            match = pattern.fullmatch(path.name)
            if path.name.startswith("."):
                continue  # left behind by operating systems and unpackers
            if not match or match[1] != city.name:
                raise UserError(
                    f"{path}: rename it to {city.name}_<sequence>_<frame>{suffix}, or move it to its city's folder"
                )
            stem = path.name.removesuffix(suffix)
            files[city.parent.name, city.name, int(match[2]), int(match[3]), stem] = path
    return files


def _find_part(folder: Path, part: str) -> Path:
    """Return the folder named `part`, in `folder` or one level below. Raise UserError if there is none, or two."""
    homes = with_subfolders(folder)
    roots = [home / part for home in homes if any((home / part / split).is_dir() for split in SPLITS)]
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise UserError(f"{folder}: both {roots[0]} and {roots[1]}; keep only one of them")
    raise UserError(f"{folder}: no `{part}` with train and val; unpack {PACKAGES[part == IMAGES[0]]} there")
