"""Corsican Fire Database: photos and short sequences of wildfires, with masks of the flames.

Layout, flat, in the given folder or in one folder below it (`bdfire`):
    001_rgb.png  001_gt.png                                          a photo and its mask
    seq05_rgb_001.png  seq05_nir_001.png  seq05_gt_001.png           a frame: photo, near infrared, mask
    data.csv                                                         metadata of the photos

Traps:
- data.csv is never read: one of its rows has photo and mask swapped. Near-infrared images are skipped.
- Sizes range from 76x332 to 2858x3999.
- A mask is strictly binary, but in two ways, which differ from file to file: 0 and 255, or 0 and 1; in gray, or as RGB
  with three equal channels.
- There is no official split. The frames of a sequence are nearly duplicates, so a sequence is one group. Photos may be
  frames of one clip without saying so: those that are alike are one group as well. On 129 frames of 21 clips
  (VisiFire), each is linked to its clip by a correlation of at least 0.92, and frames of two clips have at most 0.71.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.datasets import Sample
from promptseg.datasets.official import check_pairs, file_sample, with_subfolders

TITLE = "Corsican Fire Database"
LICENCE = "research use under a licence that each user signs: cfdb.univ-corse.fr"
CITATION = (
    "T. Toulouse, L. Rossi, A. Campana, T. Celik, M. A. Akhloufi, Computer vision for wildfire research: "
    "an evolving image dataset for processing and analysis, Fire Safety Journal 92 (2017) 188-194, "
    "doi:10.1016/j.firesaf.2017.06.012"
)
ACCESS = "by hand"
CLASSES = ("fire",)
GROUP_UNIT = "sequence, or photos that are alike"
CHECK_DUPLICATES = True
CLIP_CORRELATION = 0.9

_PHOTO = re.compile(r"([0-9]+)_(rgb|nir|gt)\.png")
_FRAME = re.compile(r"(seq[0-9]+)_(rgb|nir|gt)_([0-9]+)\.png")
_NEAR_MISS = re.compile(r"(?!\.).*_(rgb|gt)(?![a-z0-9])", re.IGNORECASE | re.DOTALL)  # probably a photo or a mask
_ANY_VALUE = {value: value for value in range(256)}


def download(folder: Path) -> None:
    """Refuse, since the files are handed out only to those who have signed the licence.

    Args:
        folder: not used.

    Raises:
        UserError: always, with the steps to get the files by hand.
    """
    raise UserError(
        "fires: the Corsican Fire Database cannot be downloaded automatically: fill in and sign the licence form at "
        "cfdb.univ-corse.fr, download with the credentials that you are sent, unpack it and set datasets.fires.raw in "
        "params.yaml to that folder (or download.fires.source to the archive); nothing else is needed"
    )


def read(folder: Path) -> Iterator[Sample]:
    """Read the photos in the order of their numbers, then the sequences by number and frame.

    Args:
        folder: folder with the files, or the parent of that folder.

    Yields:
        A sample per pair: id `001` or `seq05/001`, group `001` or `seq05`, image (h, w, 3) uint8, mask (h, w) uint8.

    Raises:
        UserError: at the call, naming the first file that lacks its partner or is misnamed, or if there is no pair.
    """
    return (file_sample(id, None, id.split("/")[0], photo, mask, _read_mask) for id, photo, mask in _list_pairs(folder))


def _list_pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """List (id, photo, mask) in order. Raise UserError naming the first file that has no partner or is misnamed."""
    files_by_id: dict[str, dict[str, Path]] = {}
    root = _find_root(folder)
    for path in _list_files(root):
        match = _PHOTO.fullmatch(path.name) or _FRAME.fullmatch(path.name)
        if match:
            name, kind, *frame = match.groups()
            files_by_id.setdefault("/".join([name, *frame]), {})[kind] = path
        elif _NEAR_MISS.match(path.name):
            raise UserError(f"{path}: rename it like 001_rgb.png, 001_gt.png or seq05_rgb_001.png, or move it away")

    def file(id: str, kind: str) -> Path:
        path = next(iter(files_by_id[id].values()))
        return path.with_name(re.sub("_(rgb|nir|gt)", f"_{kind}", path.name))

    photos, masks = ({id for id, files in files_by_id.items() if kind in files} for kind in ("rgb", "gt"))
    check_pairs(photos, masks, partial(file, kind="rgb"), partial(file, kind="gt"))
    pairs = [(id, files_by_id[id]["rgb"], files_by_id[id]["gt"]) for id in sorted(photos, key=natural)]
    if not pairs:
        raise UserError(f"{root}: only near-infrared images; photos (001_rgb.png) and masks (001_gt.png) are missing")
    return pairs


def _find_root(folder: Path) -> Path:
    """Return the only folder that holds the files: the given one or one directly below it."""
    homes = with_subfolders(folder, "set datasets.fires.raw to where the database was unpacked")
    roots = [root for root in homes if any(_is_relevant(path.name) for path in _list_files(root))]
    if not roots:
        raise UserError(f"{folder}: no 001_rgb.png with 001_gt.png here or one folder below; unpack the database there")
    if len(roots) > 1:
        raise UserError(f"{folder}: photos or masks both in {roots[0]} and in {roots[1]}; put them into one folder")
    return roots[0]


def _list_files(folder: Path) -> list[Path]:
    """List the files of a folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def _is_relevant(name: str) -> bool:
    """Whether a file belongs to the database, or seems to be meant to."""
    return bool(_PHOTO.fullmatch(name) or _FRAME.fullmatch(name) or _NEAR_MISS.match(name))


def _read_mask(path: Path) -> np.ndarray:
    """Read a mask as (h, w) uint8 with values 0 and 1; its highest value says which of the two encodings it has."""
    values = image_io.read_mask(path, _ANY_VALUE)
    labels = {0: 0, 1: 1} if values.max() <= 1 else {0: 0, 255: 1}
    try:
        return image_io.map_labels(values, labels, path)
    except UserError as error:
        raise UserError(f"{error}; soft or relabelled masks are not accepted: use the original file") from None
