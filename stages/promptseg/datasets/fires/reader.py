"""Corsican Fire Database: photos and short sequences of wildfires, with the area of the flames.

Layout, flat:
    001_rgb.png  001_gt.png                                          a photo and its mask
    seq05_rgb_001.png  seq05_nir_001.png  seq05_gt_001.png           a frame: photo, near infrared, mask
    data.csv                                                         about each photo (never read: one of its rows
                                                                     has photo and mask swapped)
The files may lie in the given folder, or in one folder below it (`bdfire`). Near infrared pictures are skipped.
Sizes differ from 76x332 to 2858x3999. A mask is strictly binary: 0 and 255, or 0 and 1, in gray or as RGB gray.

The database has no split of its own. The frames of a sequence are near-duplicates, so a sequence is one group.
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
from promptseg.datasets.fires.recipes import SEQUENCES, SINGLES, Recipe
from promptseg.datasets.fires.scene import Scene

TITLE = "Corsican Fire Database"
LICENCE = "research use under a licence that each user signs: cfdb.univ-corse.fr"
CITATION = (
    "T. Toulouse, L. Rossi, A. Campana, T. Celik, M. A. Akhloufi, Computer vision for wildfire research: "
    "an evolving image dataset for processing and analysis, Fire Safety Journal 92 (2017) 188-194, "
    "doi:10.1016/j.firesaf.2017.06.012"
)
ACCESS = "by hand"
CLASSES = ("fire",)

_PHOTO = re.compile(r"([0-9]+)_(rgb|nir|gt)\.png")
_FRAME = re.compile(r"(seq[0-9]+)_(rgb|nir|gt)_([0-9]+)\.png")
_MEANT = re.compile(r"(?!\.).*_(rgb|gt)(?![a-z0-9])", re.IGNORECASE | re.DOTALL)  # what looks like a photo or a mask
_ANY = {value: value for value in range(256)}


def download(folder: Path) -> None:
    """Raise UserError: the files are handed out by hand, to those who signed the licence."""
    raise UserError(
        "fires: the Corsican Fire Database is given out by hand: fill in and sign the licence form at "
        "cfdb.univ-corse.fr, download with the credentials that you are sent, and set datasets.fires.source in "
        "params.yaml to the archive, or to the folder where it was unpacked; nothing else is needed"
    )


def verify(folder: Path) -> None:
    """Raise UserError if there is no pair, a photo or a mask is alone, or a file's name is almost right."""
    _pairs(folder)


def read(folder: Path) -> Iterator[Sample]:
    """A Sample for each pair: photos by number, then sequences by number and frame. Raises UserError as `verify`."""
    return (
        Sample(id, None, id.split("/")[0], partial(image_io.read_image, photo), partial(_mask, mask), file=photo)
        for id, photo, mask in _pairs(folder)
    )


def sample(folder: Path, seed: int) -> None:
    """Draw photos and sequences of fires, and of orange things that are not fire, into `folder`/bdfire."""
    folder = folder / "bdfire"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = ['"name", "width", "height", "moment", "vegetation", "fire_percent"']  # names of our own
    for number, recipe in enumerate(SINGLES, 1):
        photo, _, mask = Scene(rng, recipe).frame()
        _write(folder, f"{number:03d}_{{}}.png", rgb=photo, gt=mask)
        rows.append(_row(f"{number:03d}_rgb.png", recipe, mask))
    for sequence, recipe in SEQUENCES.items():
        scene = Scene(rng, recipe)
        for t in range(4):
            photo, near, mask = scene.frame(t)
            _write(folder, f"{sequence}_{{}}_{t + 1:03d}.png", rgb=photo, nir=near, gt=mask)
            rows.append(_row(f"{sequence}_rgb_{t + 1:03d}.png", recipe, mask))
    (folder / "data.csv").write_bytes("\n".join(rows + [""]).encode("utf-8"))


def _pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """(id, photo, mask) for each pair, in order. Raises UserError naming the first file that is alone or misnamed."""
    found: dict[str, dict[str, Path]] = {}
    folder = _home(folder)
    for path in _files(folder):
        match = _PHOTO.fullmatch(path.name) or _FRAME.fullmatch(path.name)
        if match:
            name, kind, *frame = match.groups()
            found.setdefault("/".join([name, *frame]), {})[kind] = path
        elif _MEANT.match(path.name):
            raise UserError(f"{path}: name it like 001_rgb.png, 001_gt.png, seq05_rgb_001.png, or move it away")
    pairs = []
    for id in sorted(found, key=natural):
        files = found[id]
        if "rgb" in files and "gt" in files:
            pairs.append((id, files["rgb"], files["gt"]))
        elif "rgb" in files or "gt" in files:
            have, lack = ("rgb", "gt") if "rgb" in files else ("gt", "rgb")
            missing = files[have].with_name(files[have].name.replace(f"_{have}", f"_{lack}"))
            what = "mask" if lack == "gt" else "photo"
            raise UserError(f"{missing}: not found; {files[have].name} needs this {what}: unpack it again")
    if not pairs:
        raise UserError(f"{folder}: only near infrared pictures; photos (001_rgb.png) and masks (001_gt.png) are missing")
    return pairs


def _home(folder: Path) -> Path:
    """The one folder that holds the files: `folder`, or one just below it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set datasets.fires.source to where the database was unpacked")
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    homes = [place for place in [folder, *below] if any(_ours(path.name) for path in _files(place))]
    if not homes:
        raise UserError(f"{folder}: no 001_rgb.png with 001_gt.png, nor one folder below; unpack the database there")
    if len(homes) > 1:
        raise UserError(f"{folder}: photos or masks both in {homes[0]} and in {homes[1]}; put them into one folder")
    return homes[0]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _ours(name: str) -> bool:
    return bool(_PHOTO.fullmatch(name) or _FRAME.fullmatch(name) or _MEANT.match(name))


def _mask(path: Path) -> np.ndarray:
    """(h, w) uint8 of 0 and 1. Which of the two label sets a file has is decided file by file, never guessed."""
    values = image_io.read_mask(path, _ANY)
    labels = {0: 0, 1: 1} if values.max() <= 1 else {0: 0, 255: 1}
    try:
        return image_io.map_labels(values, labels, path)
    except UserError as problem:
        raise UserError(f"{problem}; soft or relabelled masks are not taken: use the original file") from None


def _write(folder: Path, name: str, **pictures: np.ndarray) -> None:
    for kind, picture in pictures.items():
        (folder / name.format(kind)).write_bytes(image_io.png(picture))


def _row(name: str, recipe: Recipe, mask: np.ndarray) -> str:
    """A line as in the official file: the fields after the first have a space before their quote."""
    height, width = mask.shape
    moment = "night" if recipe.light == "night" else "day"
    fields = [name, width, height, moment, recipe.land, f"{(mask > 0).mean() * 100:.2f}"]
    return ", ".join(f'"{field}"' for field in fields)
