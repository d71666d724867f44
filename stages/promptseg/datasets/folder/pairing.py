"""Pairs of picture and mask in a folder of any layout: found by two patterns, joined by name and never by order."""

import difflib
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from promptseg.core.errors import UserError
from promptseg.data.file_names import natural
from promptseg.datasets.folder.patterns import Pattern, split_of

KINDS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
OTHER_KINDS = (".bmp", ".gif", ".webp", ".jp2", ".heic", ".ppm", ".pgm", ".dcm", ".nii", ".mha", ".npy", ".svg")
_COMPARED = 3000  # names that are compared to find the nearest; more would take seconds


class Found(NamedTuple):
    """A pair: its files, relative to the folder with `/`, and what the placeholders of the picture's pattern hold."""

    image: str
    mask: str
    values: dict[str, str]


def pairs(folder: Path, images: Pattern, masks: Pattern, skip_unpaired: bool = False) -> list[Found]:
    """Every pair, in the natural order of the names.

    A picture and a mask belong together where the placeholders that both patterns have hold the same. A file that both
    patterns match is a mask if there is a picture that it is the mask of: `{name}.tif` also matches a_groundtruth.tif.
    Raises UserError, which names the first file and how many more there are, where one lacks the other (unless skipped),
    two share a name, a file is of a kind that is not read, or nothing matches.
    """
    files = listing(folder)
    pictures, truths = _matching(files, images), _matching(files, masks)
    shared = [field for field in images.fields if field in masks.fields]
    _part(pictures, truths, shared, images.literal > masks.literal)
    for what, pattern, matched in (("images", images, pictures), ("masks", masks, truths)):
        if not matched:
            near = _there(files, pattern.text)
            raise UserError(f"{folder}: no file matches options.{what} {pattern.text!r}; {near}; correct the pattern")
    for path in (*pictures, *truths):
        _check_name(folder, path)
    by_key = _by_key(folder, pictures, shared, "picture"), _by_key(folder, truths, shared, "mask")
    both = [key for key in by_key[0] if key in by_key[1]]
    if not skip_unpaired or not both:
        _check_paired(folder, by_key, (pictures, truths), (images, masks), bool(both))
    found = [Found(by_key[0][key], by_key[1][key], pictures[by_key[0][key]]) for key in both]
    return sorted(found, key=lambda pair: natural("/".join(pair.values.values())))


def listing(folder: Path) -> list[str]:
    """The files of a folder and of those in it, relative to it and sorted; what is hidden is left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set datasets.<name>.source to the folder that holds your pictures")
    paths = []
    for root, folders, names in os.walk(folder):
        # Hidden files and __MACOSX are what systems and archivers leave behind.
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        below = os.path.relpath(root, folder).replace(os.sep, "/")
        paths += [name if below == "." else f"{below}/{name}" for name in names if not name.startswith(".")]
    return sorted(paths)


def _matching(files: list[str], pattern: Pattern) -> dict[str, dict[str, str]]:
    """The files that a pattern matches, with the values of its placeholders."""
    matched = {}
    for path in files:
        values = pattern.match(path)
        suffix = os.path.splitext(path)[1].lower()
        if values and (not pattern.any_kind or suffix in KINDS + OTHER_KINDS):
            matched[path] = values
    return matched


def _key(values: dict[str, str], shared: list[str]) -> tuple[str, ...]:
    """What pairs: a picture in Train/ and its mask in training/ agree."""
    return tuple(split_of(values[field]) or values[field] if field == "split" else values[field] for field in shared)


def _part(pictures: dict, truths: dict, shared: list[str], pictures_first: bool) -> None:
    """Leave each file that both patterns match on one side; shorter names first, so that chains resolve."""
    keys = {_key(values, shared): path for path, values in pictures.items()}
    masks = {_key(values, shared): path for path, values in truths.items()}
    for path in sorted(pictures.keys() & truths.keys(), key=lambda path: (len(path), path)):
        picture = keys.get(_key(truths[path], shared), path)
        mask = masks.get(_key(pictures[path], shared), path)
        if picture != path and picture in pictures:
            del pictures[path]
        elif (mask != path and mask in truths) or pictures_first:
            del truths[path]
        else:
            del pictures[path]


def _by_key(folder: Path, matched: dict, shared: list[str], what: str) -> dict[tuple, str]:
    found: dict[tuple, str] = {}
    for path, values in matched.items():
        twin = found.setdefault(_key(values, shared), path)
        if twin != path:
            name = "/".join(_key(values, shared))
            mend = "remove one, or tell them apart by a placeholder that stands in images and in masks"
            raise UserError(f"{folder / path}: {twin} is a {what} of the same name {name!r}; {mend}")
    return found


def _check_name(folder: Path, path: str) -> None:
    if not path.isprintable():
        raise UserError(f"{folder}: the name {path!r} holds characters that cannot be shown; rename the file")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in OTHER_KINDS:
        raise UserError(f"{folder / path}: {suffix} files are not read; convert it to PNG, TIFF or (pictures only) JPEG")


def _check_paired(folder: Path, by_key: tuple, matched: tuple, patterns: tuple, some: bool) -> None:
    """Raise UserError where a picture has no mask or a mask has no picture."""
    for here, what, lacks in ((0, "pictures", "mask"), (1, "masks", "picture")):
        alone = [path for key, path in by_key[here].items() if key not in by_key[1 - here]]
        if not alone:
            continue
        path = min(alone, key=natural)
        wanted = patterns[1 - here].fill(matched[here][path])
        more = f" (the first of {len(alone):,} such {what})" if len(alone) > 1 else ""
        if some:
            mend = "add it, or leave such files out with options.unpaired: skip"
        else:
            mend = f"{_there(list(matched[1 - here]), wanted)}; correct options.images or options.masks"
        raise UserError(f"{folder / path}: there is no {lacks} {wanted}{more}; {mend}")


def _there(files: list[str], wanted: str) -> str:
    """How many files there are, and the three whose names are nearest to what is wanted."""
    if not files:
        return "no file is there"
    compared = files[:: -(-len(files) // _COMPARED)]
    wanted = unicodedata.normalize("NFC", wanted)
    near = sorted(compared, key=lambda path: (-difflib.SequenceMatcher(None, wanted, path).ratio(), natural(path)))[:3]
    files_are = f"{len(files):,} files are" if len(files) > 1 else "1 file is"
    return f"{files_are} there, nearest {', '.join(repr(path) for path in near)}"
