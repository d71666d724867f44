"""Pairing of images and masks in a folder of any layout: files are found by two patterns and paired by name."""

import difflib
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from promptseg.core.errors import UserError
from promptseg.data.file_names import IMAGE_SUFFIXES, natural
from promptseg.datasets.folder.patterns import Pattern, split_of

UNSUPPORTED = (".bmp", ".gif", ".jp2", ".heic", ".ppm", ".pgm", ".dcm", ".nii", ".mha", ".npy", ".svg")
_MAX_COMPARED = 3000  # names compared to find the most similar ones; more would take seconds


class FilePair(NamedTuple):
    """An image file and its mask file.

    Attributes:
        image: relative to the folder, with `/`.
        mask: likewise.
        values: of the placeholders in the image's pattern.
    """

    image: str
    mask: str
    values: dict[str, str]


def pairs(folder: Path, images: Pattern, masks: Pattern, skip_unpaired: bool = False) -> list[FilePair]:
    """Find every image with its mask.

    An image and a mask belong together if the placeholders that both patterns use have equal values. A file that
    matches both patterns is a mask if the image that it is the mask of exists: `{name}.tif` also matches
    a_groundtruth.tif.

    Args:
        folder: that is searched, with all its subfolders.
        images: pattern of the images' paths.
        masks: pattern of the masks' paths.
        skip_unpaired: leave out files without counterpart.

    Returns:
        The pairs in natural order of their names.

    Raises:
        UserError: a file has no counterpart (unless skipped), two share a name, a format is not supported, or no file
            matches; the message names the first file and the number of further ones.
    """
    files = listing(folder)
    image_files, mask_files = _matching(files, images), _matching(files, masks)
    shared = [field for field in images.fields if field in masks.fields]
    _separate(image_files, mask_files, shared, images.literal > masks.literal)
    for option, pattern, matched in (("images", images, image_files), ("masks", masks, mask_files)):
        if not matched:
            remedy = f"{_most_similar(files, pattern.text)}; correct the pattern"
            raise UserError(f"{folder}: no file matches options.{option} {pattern.text!r}; {remedy}")
    for path in (*image_files, *mask_files):
        _check_name(folder, path)
    by_key = _by_key(folder, image_files, shared, "image"), _by_key(folder, mask_files, shared, "mask")
    both = [key for key in by_key[0] if key in by_key[1]]
    if not skip_unpaired or not both:
        _check_paired(folder, by_key, (image_files, mask_files), (images, masks), bool(both))
    found = [FilePair(by_key[0][key], by_key[1][key], image_files[by_key[0][key]]) for key in both]
    return sorted(found, key=lambda pair: natural("/".join(pair.values.values())))


def listing(folder: Path) -> list[str]:
    """List all files in a folder and its subfolders.

    Args:
        folder: that is searched.

    Returns:
        Paths relative to the folder, with `/`, sorted; without hidden files and folders.

    Raises:
        UserError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; set datasets.<name>.raw to the folder with your images")
    paths = []
    for root, folders, names in os.walk(folder):
        # Operating systems and archivers leave hidden files and __MACOSX behind.
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        below = os.path.relpath(root, folder).replace(os.sep, "/")
        paths += [name if below == "." else f"{below}/{name}" for name in names if not name.startswith(".")]
    return sorted(paths)


def _matching(files: list[str], pattern: Pattern) -> dict[str, dict[str, str]]:
    """Return the files that match a pattern, with the values of its placeholders."""
    matched = {}
    for path in files:
        values = pattern.match(path)
        suffix = os.path.splitext(path)[1].lower()
        if values and (not pattern.any_format or suffix in IMAGE_SUFFIXES + UNSUPPORTED):
            matched[path] = values
    return matched


def _key(values: dict[str, str], shared: list[str]) -> tuple[str, ...]:
    """Return the values that decide pairing; an image in Train/ and its mask in training/ agree."""
    return tuple(split_of(values[field]) or values[field] if field == "split" else values[field] for field in shared)


def _separate(image_files: dict, mask_files: dict, shared: list[str], images_first: bool) -> None:
    """Remove each file that matches both patterns from one side; shorter names first, so that chains resolve."""
    images = {_key(values, shared): path for path, values in image_files.items()}
    masks = {_key(values, shared): path for path, values in mask_files.items()}
    for path in sorted(image_files.keys() & mask_files.keys(), key=lambda path: (len(path), path)):
        image = images.get(_key(mask_files[path], shared), path)
        mask = masks.get(_key(image_files[path], shared), path)
        if image != path and image in image_files:
            del image_files[path]
        elif (mask != path and mask in mask_files) or images_first:
            del mask_files[path]
        else:
            del image_files[path]


def _by_key(folder: Path, matched: dict, shared: list[str], noun: str) -> dict[tuple, str]:
    """Index files by key. Raises UserError where two share one."""
    found: dict[tuple, str] = {}
    for path, values in matched.items():
        first = found.setdefault(_key(values, shared), path)
        if first != path:
            name = "/".join(_key(values, shared))
            remedy = "remove one, or distinguish them by a placeholder that both images and masks use"
            raise UserError(f"{folder / path}: {first} is another {noun} named {name!r}; {remedy}")
    return found


def _check_name(folder: Path, path: str) -> None:
    """Raise UserError for unprintable names and unsupported formats."""
    if not path.isprintable():
        raise UserError(f"{folder}: the name {path!r} has unprintable characters; rename the file")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNSUPPORTED:
        raise UserError(
            f"{folder / path}: {suffix} files are not supported; convert it to PNG, TIFF or (images only) JPEG"
        )


def _check_paired(folder: Path, by_key: tuple, matched: tuple, patterns: tuple, some: bool) -> None:
    """Raise UserError where an image has no mask or a mask has no image. some: at least one pair was found."""
    for side, noun, counterpart in ((0, "images", "mask"), (1, "masks", "image")):
        unpaired = [path for key, path in by_key[side].items() if key not in by_key[1 - side]]
        if not unpaired:
            continue
        path = min(unpaired, key=natural)
        expected = patterns[1 - side].fill(matched[side][path])
        more = f" (the first of {len(unpaired):,} such {noun})" if len(unpaired) > 1 else ""
        if some:
            remedy = "add it, or leave out such files with options.unpaired: skip"
        else:
            similar = _most_similar(list(matched[1 - side]), expected)
            remedy = f"{similar}; correct options.images or options.masks"
        raise UserError(f"{folder / path}: its {counterpart} {expected} was not found{more}; {remedy}")


def _most_similar(files: list[str], wanted: str) -> str:
    """Describe how many files exist, and the three with the most similar names."""
    if not files:
        return "the folder has no files"
    compared = files[:: -(-len(files) // _MAX_COMPARED)]
    wanted = unicodedata.normalize("NFC", wanted)

    def distance(path: str) -> tuple:
        return -difflib.SequenceMatcher(None, wanted, path).ratio(), natural(path)

    count = f"{len(files):,} files exist" if len(files) > 1 else "1 file exists"
    return f"{count}, most similar: {', '.join(repr(path) for path in sorted(compared, key=distance)[:3])}"
