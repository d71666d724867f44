"""Images with annotation files instead of masks: which belong together, and the masks that are drawn."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from promptseg import annotations
from promptseg.annotations.lookup import Annotations, Found
from promptseg.annotations.rasterize import in_pixels, rasterize
from promptseg.core.errors import UserError
from promptseg.data import file_names, image_io
from promptseg.data.file_names import natural
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder.labels import MAX_CLASSES
from promptseg.datasets.folder.mask_reader import Mask
from promptseg.datasets.folder.pairing import FilePair
from promptseg.datasets.folder.patterns import Pattern

if TYPE_CHECKING:
    from promptseg.datasets.folder.reader import Options


class AnnotatedImages(NamedTuple):
    """Images and their annotations.

    Attributes:
        pairs: in natural order of their names; the annotation file stands for the masks.
        left_out: files without counterpart, and images of annotations that are not there, sorted.
        found: the annotations of each image, by its path.
        classes: names of the classes 1, 2, ...
    """

    pairs: list[FilePair]
    left_out: list[str]
    found: dict[str, Found]
    classes: tuple[str, ...]


def is_pattern(text: str) -> bool:
    """Whether options.annotations is a pattern, and not the path of one file."""
    return any(character in text for character in "{*?")


def read_classes(folder: Path, options: "Options") -> tuple[str, ...]:
    """Read the names of the classes: those of options.classes, by default all that the annotation files have.

    Raises:
        UserError: the files are damaged, have none or too many, or not those of options.classes.
    """
    files = _files(folder, pairing.listing(folder), options)
    return _classes(annotations.index(folder, list(files)), folder, options)


def pair(folder: Path, options: "Options") -> AnnotatedImages:
    """Find every image with its annotations.

    Annotations belong to the image that they name. Where the format names none, the placeholders of options.images and
    options.annotations that agree decide, as they do for masks.

    Raises:
        UserError: files are damaged, an image has no annotations or they have no image (unless skipped), or names are
            ambiguous.
    """
    listing = pairing.listing(folder)
    images, files = Pattern(options.images), _files(folder, listing, options)
    image_files = {path: values for path, values in pairing.matching(listing, images).items() if path not in files}
    if not image_files:
        raise pairing.no_match(folder, "images", images.text, listing)
    for path in image_files:
        pairing.check_name(folder, path)
    pairing.index_by_key(folder, image_files, list(images.fields), "image")  # which raises for two of one name
    index = annotations.index(folder, list(files))
    found, unknown = index.of_images(list(image_files))
    unknown += _by_placeholders(index, files, image_files, found)
    without = sorted((path for path in image_files if path not in found), key=natural)
    if options.unpaired == "error" or not found:
        _check_paired(folder, index, image_files, unknown, without)
    pairs = [FilePair(path, (each.file,), (None,), image_files[path]) for path, each in found.items()]
    left_out = sorted([*without, *(each.image or each.file for each in unknown)])
    pairs.sort(key=lambda each: natural("/".join(each.values.values())))
    return AnnotatedImages(pairs, left_out, found, _classes(index, folder, options))


def mask(image: Path, found: Found, classes: tuple[str, ...]) -> Mask:
    """The mask and the instances of an image, which are drawn when they are read."""
    draw = partial(_drawn, image, found, {name: label for label, name in enumerate(classes, 1)})
    return Mask(lambda: draw()[0], lambda: draw()[1], found.where)


def _drawn(image: Path, found: Found, labels: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """The mask, (h, w) uint8, and the instances, (h, w) uint16. Raises UserError as `rasterize`."""
    height, width = image_io.image_size(image)
    annotated = found.annotated()
    if annotated.height is not None and annotated.width is not None:
        image_io.check_same_size((height, width), (annotated.height, annotated.width), image, found.where)
    return rasterize(in_pixels(annotated, height, width), labels, height, width, found.where)


def _files(folder: Path, listing: list[str], options: "Options") -> dict[str, dict[str, str]]:
    """The annotation files with the values of their placeholders. Raises UserError where there are none."""
    text = options.annotations or ""
    if not is_pattern(text):
        matched: dict[str, dict[str, str]] = {path: {} for path in listing if path == text.removeprefix("./")}
    else:
        pattern, candidates = Pattern(text), listing
        if pattern.any_format:
            suffixes = {suffix for each in annotations.formats() for suffix in each.SUFFIXES}
            candidates = file_names.with_suffix(listing, suffixes)
        matched = {path: values for path in candidates if (values := pattern.match(path)) is not None}
    if not matched:
        raise pairing.no_match(folder, "annotations", text, listing)
    return {path: matched[path] for path in sorted(matched, key=natural)}


def _classes(index: Annotations, folder: Path, options: "Options") -> tuple[str, ...]:
    if options.classes is not None:
        missing = [name for name in options.classes if name not in index.classes]
        if missing:
            known = ", ".join(index.classes) or "none"
            raise UserError(f"{folder}: options.classes: {missing[0]!r} is not in the annotations; they have {known}")
        return tuple(options.classes)
    if not 0 < len(index.classes) <= MAX_CLASSES:
        what = f"{len(index.classes)} classes, where {MAX_CLASSES} can be told apart" if index.classes else "no class"
        raise UserError(f"{folder}: the annotations have {what}; choose some by options.classes")
    try:
        options.check_contained(index.classes)
    except ValueError as error:
        raise UserError(f"{folder}: options.{error}") from None
    return index.classes


def _by_placeholders(
    index: Annotations,
    files: dict[str, dict[str, str]],
    image_files: dict[str, dict[str, str]],
    found: dict[str, Found],
) -> list[Found]:
    """Add annotations that name no image to those found; returns those whose image is not there."""
    shared = [field for field in next(iter(image_files.values())) if field in next(iter(files.values()))]

    def key_of(path: str, values: dict[str, str]) -> tuple[str, ...]:
        if shared:
            return pairing.key_of(values, shared)
        return (os.path.splitext(os.path.basename(path))[0],)  # options.annotations is one file

    images: dict[tuple[str, ...], list[str]] = {}
    for path, values in image_files.items():
        images.setdefault(key_of(path, values), []).append(path)
    unknown = []
    for each in (each for each in index.found if not each.image):
        candidates = images.get(key_of(each.file, files[each.file]), [])
        if not candidates:
            unknown.append(each)
        elif len(candidates) > 1:
            remedy = "use the same placeholders in options.images and options.annotations"
            raise UserError(f"{each.path}: its image may be {candidates[0]} or {candidates[1]}; {remedy}")
        elif (other := found.setdefault(candidates[0], each)) is not each:
            raise UserError(f"{each.path}: {other.path} also annotates {candidates[0]}; remove one")
    return unknown


def _check_paired(
    folder: Path, index: Annotations, images: dict[str, dict[str, str]], unknown: list[Found], without: list[str]
) -> None:
    """Raise UserError where annotations have no image or an image has no annotations."""
    skip = "or leave out such files with options.unpaired: skip"
    if unknown:
        each = unknown[0]
        name = f"its image {each.image!r} is unknown" if each.image else "there is no image of its name"
        more = f" (the first of {len(unknown):,})" if len(unknown) > 1 else ""
        similar = pairing.most_similar(list(images), each.image or each.file)
        raise UserError(f"{each.path}: {name}{more}; {similar}; correct options.images, {skip}")
    if without:
        more = f" (the first of {len(without):,} such images)" if len(without) > 1 else ""
        raise UserError(f"{folder / without[0]}: no annotations in {index.name} are of it{more}; add them, {skip}")
