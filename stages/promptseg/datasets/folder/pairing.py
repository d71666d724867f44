"""Pairing of images and masks in a folder of any layout: files are found by two patterns and paired by name."""

import difflib
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from promptseg.core.errors import UserError
from promptseg.data.file_names import IMAGE_SUFFIXES, natural, walk
from promptseg.datasets.folder import annotation_files, more_masks
from promptseg.datasets.folder.patterns import CLASS, Pattern, split_of

UNSUPPORTED = (".bmp", ".gif", ".jp2", ".heic", ".ppm", ".pgm", ".dcm", ".nii", ".mha", ".npy", ".svg")
_LAYOUTS = (("{name}/images/*", "{name}/masks/*"), ("images/{name}.*", "masks/{name}/*"))
_MAX_COMPARED = 3000  # names compared to find the most similar ones; more would take seconds


class NoPair(UserError):
    """Raised where the patterns pair no image with a mask, or not all of them."""


class FilePair(NamedTuple):
    """An image file and its mask files.

    Attributes:
        image: relative to the folder, with `/`.
        masks: likewise, in natural order; several only where the pattern of masks tells them apart.
        classes: of each mask the class that its path names, or None.
        values: of the placeholders in the image's pattern.
    """

    image: str
    masks: tuple[str, ...]
    classes: tuple[str | None, ...]
    values: dict[str, str]


class Pairing(NamedTuple):
    """What belongs together in a folder.

    Attributes:
        pairs: in natural order of their names.
        left_out: files without counterpart, sorted.
    """

    pairs: list[FilePair]
    left_out: list[str]


def pair(folder: Path, images: Pattern, masks: Pattern, skip_unpaired: bool = False) -> Pairing:
    """Find every image with its masks.

    An image and a mask belong together if the placeholders that both patterns use have equal values. A file that
    matches both patterns is a mask if the image that it is the mask of exists: `{name}.tif` also matches
    a_groundtruth.tif. Where images are alone in their folders, as in `*/images/*`, masks there need not share a name.

    Args:
        folder: that is searched, with all its subfolders.
        images: pattern of the images' paths.
        masks: pattern of the masks' paths.
        skip_unpaired: leave out files without counterpart.

    Raises:
        UserError: a file has no counterpart (unless skipped), two share a name, a format is not supported, or no file
            matches; the message names the first file and the number of further ones.
    """
    files = listing(folder)
    image_files, mask_files = matching(files, images), matching(files, masks)
    shared = [field for field in images.fields if field in masks.fields]
    _separate(image_files, mask_files, shared, images.literal > masks.literal)
    more_masks.adopt(files, image_files, mask_files, masks)
    for option, pattern, matched in (("images", images, image_files), ("masks", masks, mask_files)):
        if not matched:
            raise no_match(folder, option, pattern.text, files)
    for path in (*image_files, *mask_files):
        check_name(folder, path)
    shared = _telling(image_files, mask_files, shared)
    _end_names(image_files, mask_files, shared, masks)
    by_key = index_by_key(folder, image_files, shared, "image"), index_by_key(folder, mask_files, shared, "mask")
    both = [key for key in by_key[0] if key in by_key[1]]
    if not skip_unpaired or not both:
        _check_paired(folder, by_key, (image_files, mask_files), (images, masks), bool(both))
    pairs = []
    for key in both:
        (image,), paths = by_key[0][key], by_key[1][key]
        pairs.append(FilePair(image, paths, tuple(mask_files[path].get(CLASS) for path in paths), image_files[image]))
    left_out = [path for side in by_key for key, paths in side.items() if key not in both for path in paths]
    return Pairing(sorted(pairs, key=lambda each: natural("/".join(each.values.values()))), sorted(left_out))


def listing(folder: Path) -> list[str]:
    """List all files in a folder and below it, as `file_names.walk`. Raises UserError where it does not exist."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; set datasets.<name>.raw to the folder with your images")
    return walk(folder)


def no_match(folder: Path, option: str, text: str, files: list[str]) -> UserError:
    """The error where no file matches the pattern of an option; it says what is there instead."""
    reason = (option == "masks" and annotation_files.described(folder, files)) or _other_layout(files)
    reason = reason or f"{most_similar(files, text)}; correct the pattern"
    return NoPair(f"{folder}: no file matches options.{option} {text!r}; {reason}")


def matching(files: list[str], pattern: Pattern) -> dict[str, dict[str, str]]:
    """Return the files that match a pattern, with the values of its placeholders."""
    matched = {}
    for path in files:
        values = pattern.match(path)
        suffix = os.path.splitext(path)[1].lower()
        if values and (not pattern.any_format or suffix in IMAGE_SUFFIXES + UNSUPPORTED):
            matched[path] = values
    return matched


def key_of(values: dict[str, str], shared: list[str]) -> tuple[str, ...]:
    """Return the values that decide pairing; an image in Train/ and its mask in training/ agree."""
    return tuple(split_of(values[field]) or values[field] if field == "split" else values[field] for field in shared)


def _separate(image_files: dict, mask_files: dict, shared: list[str], images_first: bool) -> None:
    """Remove each file that matches both patterns from one side; shorter names first, so that chains resolve."""
    images = {key_of(values, shared): path for path, values in image_files.items()}
    masks = {key_of(values, shared): path for path, values in mask_files.items()}
    for path in sorted(image_files.keys() & mask_files.keys(), key=lambda path: (len(path), path)):
        image = images.get(key_of(mask_files[path], shared), path)
        mask = masks.get(key_of(image_files[path], shared), path)
        if image != path and image in image_files:
            del image_files[path]
        elif (mask != path and mask in mask_files) or images_first:
            del mask_files[path]
        else:
            del image_files[path]


def _telling(image_files: dict, mask_files: dict, shared: list[str]) -> list[str]:
    """The placeholders that pair files: all that are shared, or without the name where no name has a counterpart."""
    keys = {key_of(values, shared) for values in image_files.values()}
    if any(key_of(values, shared) in keys for values in mask_files.values()):
        return shared
    folders = [field for field in shared if field != "name"]
    homes = [key_of(values, folders) for values in image_files.values()]
    alone = set(folders) > {"split"} & set(folders) and len(set(homes)) == len(homes)
    return folders if alone and any(key_of(values, folders) in homes for values in mask_files.values()) else shared


def _end_names(image_files: dict, mask_files: dict, shared: list[str], pattern: Pattern) -> None:
    """Correct the values of masks whose pattern leaves open where the name ends."""
    images = {key_of(values, shared) for values in image_files.values()}
    for path, values in mask_files.items():
        found = more_masks.values_with_image(path, values, pattern, lambda each: key_of(each, shared) in images)
        mask_files[path] = found


def index_by_key(folder: Path, matched: dict, shared: list[str], noun: str) -> dict[tuple, tuple[str, ...]]:
    """Index files by key. Raises UserError where two share one and are not several masks of one image."""
    found: dict[tuple, tuple[str, ...]] = {}
    for path in sorted(matched, key=natural) if noun == "mask" else matched:
        key = key_of(matched[path], shared)
        for other in found.get(key, ()):
            classes = {matched[each].get(CLASS) for each in (path, other)}
            if noun == "image" or not (len(classes) > 1 or more_masks.are_siblings(path, other)):
                first, second = sorted((path, other))
                remedy = "remove one, or distinguish them by a placeholder that both images and masks use"
                raise UserError(f"{folder / second}: {first} is another {noun} named {'/'.join(key)!r}; {remedy}")
        found[key] = (*found.get(key, ()), path)
    return found


def check_name(folder: Path, path: str) -> None:
    """Raise UserError for unprintable names and unsupported formats."""
    if not path.isprintable():
        raise UserError(f"{folder}: the name {path!r} has unprintable characters; rename the file")
    suffix = os.path.splitext(path)[1].lower()
    if (reason := annotation_files.described(folder, [path])) is not None:
        raise UserError(f"{folder / path}: {reason}")
    if suffix in UNSUPPORTED:
        raise UserError(
            f"{folder / path}: {suffix} files are not supported; convert it to PNG, TIFF or (images only) JPEG"
        )


def _check_paired(folder: Path, by_key: tuple, matched: tuple, patterns: tuple, some: bool) -> None:
    """Raise UserError where an image has no mask or a mask has no image. some: at least one pair was found."""
    for side, noun, counterpart in ((0, "images", "mask"), (1, "masks", "image")):
        unpaired = [path for key, paths in by_key[side].items() if key not in by_key[1 - side] for path in paths]
        if not unpaired:
            continue
        path = min(unpaired, key=natural)
        expected = patterns[1 - side].fill(matched[side][path])
        more = f" (the first of {len(unpaired):,} such {noun})" if len(unpaired) > 1 else ""
        if some and (others := more_masks.pattern_for(path, matched[1], patterns[1])):
            remedy = f"if it is one more mask of an image, set options.masks: '{others}'"
        elif some:
            remedy = "add it, or leave out such files with options.unpaired: skip"
        elif side == 0 and (several := more_masks.pattern_of_several(expected, matched[1], patterns[1])):
            remedy = f"for all masks whose names begin like this, set options.masks: '{several}'"
        else:
            similar = most_similar(list(matched[1 - side]), expected)
            remedy = f"{similar}; correct options.images or options.masks"
        raise NoPair(f"{folder / path}: its {counterpart} {expected} was not found{more}; {remedy}")


def _other_layout(files: list[str]) -> str | None:
    """Name the patterns of a layout with a folder for each image or for its masks, if the files are in it."""
    for images, masks in _LAYOUTS:
        named = [{(Pattern(each).match(path) or {}).get("name") for path in files} for each in (images, masks)]
        if (named[0] & named[1]) - {None}:
            return f"files are in folders of their image: set options: {{images: '{images}', masks: '{masks}'}}"
    return None


def most_similar(files: list[str], wanted: str) -> str:
    """Describe how many files exist, and the three with the most similar names."""
    if not files:
        return "the folder has no files"
    compared = files[:: -(-len(files) // _MAX_COMPARED)]
    wanted = unicodedata.normalize("NFC", wanted)

    def distance(path: str) -> tuple:
        return -difflib.SequenceMatcher(None, wanted, path).ratio(), natural(path)

    count = f"{len(files):,} files exist" if len(files) > 1 else "1 file exists"
    return f"{count}, most similar: {', '.join(repr(path) for path in sorted(compared, key=distance)[:3])}"
