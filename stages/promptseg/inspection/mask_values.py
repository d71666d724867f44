"""What the values in all mask files of a folder are, and the options of the folder reader that say so."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from promptseg.core import progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import file_kinds, image_io, label_images
from promptseg.data.image_io import IGNORED
from promptseg.data.tiff_stack import Stack
from promptseg.datasets.folder import instance_ids, value_mapping
from promptseg.datasets.folder.instance_ids import Evidence
from promptseg.datasets.folder.labels import shown

MAX_CLASSES = 40  # values, or colors; more are ids, soft edges or a photo
_FEW = 6  # values in one mask; more, without a sign of ids, are soft edges
_HALF = 128  # of soft edges from 0 to 255
_GROUNDS = (0x000000, 0xFFFFFF)


@dataclass
class MaskValues:
    """Values of all masks, added one mask at a time.

    Attributes:
        masks: that were read.
        values: value -> number of masks that hold it; of masks with ids, none.
        colors: likewise for colors, r << 16 | g << 8 | b.
        both: masks that hold 1 and 255.
        most: largest number of values, without 0, in one mask.
        highest: largest value.
        ids: masks whose values number instances.
        no_ids: masks whose values are many and do not.
        jpegs: masks that are JPEGs.
        sizes: path of the mask file -> (height, width), where it holds one mask.
        errors: a line for each mask that cannot be read.
    """

    masks: int = 0
    values: Counter[int] = field(default_factory=Counter)
    colors: Counter[int] = field(default_factory=Counter)
    both: int = 0
    most: int = 0
    highest: int = 0
    ids: int = 0
    no_ids: int = 0
    jpegs: int = 0
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Meaning:
    """What the values mean.

    Attributes:
        options: of the folder reader.
        classes: names of the classes.
        named: whether the names are more than numbers.
        words: the evidence, for the user.
    """

    options: dict[str, Any]
    classes: tuple[str, ...]
    named: bool
    words: str


def read(folder: Path, masks: list[str], stack: bool) -> MaskValues:
    """Read all masks of a folder, a few at a time.

    Args:
        folder: of the files.
        masks: relative to it.
        stack: each file is a TIFF stack.
    """
    found = MaskValues()
    with ThreadPool(Ranks().cores) as pool:
        results = pool.map_ordered(partial(_read, folder, stack=stack), masks)
        for path, result in zip(masks, progress.bar(results, desc="masks", total=len(masks)), strict=False):
            _add(found, path, result)
    return found


@dataclass(frozen=True)
class _One:
    """Values of one mask file; the pixels are gone."""

    size: tuple[int, int] | None = None
    values: tuple[int, ...] = ()
    colors: tuple[int, ...] = ()
    evidence: Evidence | None = None
    jpeg: bool = False
    error: str = ""


def _read(folder: Path, path: str, stack: bool) -> list[_One]:
    try:
        if stack:
            pages = Stack(folder / path)
            return [_values_of(pages.values(index)) for index in range(len(pages))]
        if file_kinds.kind(folder / path) == "JPEG":
            image = image_io.read_image(folder / path)
            return [_One(image.shape[:2], jpeg=True)]
        found = label_images.read_labels(folder / path)
        if found.palette is not None and (levels := label_images.gray_levels(found.palette)) is not None:
            return [_values_of(levels[found.values])]
        return [_values_of(found.values)]
    except UserError as error:
        return [_One(error=str(error))]


def _values_of(values: np.ndarray) -> _One:
    """Values of a mask, (h, w) or (h, w, 3)."""
    size = (int(values.shape[0]), int(values.shape[1]))
    if values.ndim == 3:
        codes = np.unique(value_mapping.color_codes(values))
        return _One(size, colors=tuple(codes[: MAX_CLASSES + 1].tolist()))
    if values.dtype == bool:
        return _One(size, values=(0, 1))
    counts = list(value_mapping.count(values))
    ids = [value for value in counts if value]
    return _One(size, tuple(counts), evidence=instance_ids.evidence(values, ids, {0}))


def _add(found: MaskValues, path: str, result: list[_One]) -> None:
    for one in result:
        if one.error:
            found.errors.append(one.error)
            continue
        found.masks += 1
        found.jpegs += one.jpeg
        found.colors.update(one.colors)
        found.ids += one.evidence in (Evidence.CERTAIN, Evidence.WITHOUT_GAPS)
        found.no_ids += one.evidence is Evidence.AGAINST
        found.both += {1, 255} <= set(one.values)
        found.most = max(found.most, sum(value > 0 for value in one.values))
        found.highest = max(found.highest, *one.values, 0)
        found.values.update(one.values if len(one.values) <= MAX_CLASSES + 1 else one.values[:1])
        if len(result) == 1 and one.size is not None:
            found.sizes[path] = one.size


def meaning(found: MaskValues, by_path: tuple[str, ...], names: list[str], several: bool) -> Meaning:
    """Say what values mean; nothing is guessed that the words do not say.

    Args:
        found: values of all masks.
        by_path: classes that the masks' paths name.
        names: of the classes, as the user gave them, in the order of the values; may be empty.
        several: an image has several masks, each an instance.

    Raises:
        UserError: the values have no clear meaning, or there are not as many classes as names.
    """
    if found.jpegs:
        words = f"{found.jpegs:,} masks are JPEGs, whose edges are soft: {_HALF} to 255 is the object"
        return _single({"threshold": _HALF}, names, words)
    if found.colors:
        return _colors(found, names)
    if by_path:
        return Meaning({"classes": list(by_path)}, by_path, True, f"a mask a class: {', '.join(by_path)}")
    values = sorted(value for value in found.values if value)
    if several:
        return _single({}, names, "several masks an image: each is an instance")
    if found.ids and not found.no_ids:
        words = f"values up to {found.highest:,}, each one region: they number instances ({found.ids:,} masks)"
        return _single({"instances": True}, names, words)
    if len(values) > MAX_CLASSES or (found.most > _FEW and found.no_ids):
        words = f"up to {found.most} values in a mask: soft edges; {_HALF} to 255 is the object"
        return _single({"threshold": _HALF}, names, words)
    if not values or values in ([1], [255]):
        shown_values = ", ".join(map(str, sorted(found.values)))
        # Said, so that nobody searches all masks for a sign of ids.
        words = f"values {shown_values}: background and one class" if values else "all are empty"
        return _single({"instances": False}, names, words)
    if values == [1, 255] and not found.both:
        words = "values 0 and 1 in some masks, 0 and 255 in others: background and one class"
        single = _single({}, names, words)
        return replace(single, options={"classes": {single.classes[0]: values}})
    listed = ", ".join(map(str, [0, *values]))
    options: dict[str, Any] = {}
    words = f"values {listed}: "
    if values[-1] == IGNORED and len(values) > 1:
        values, options["ignore"] = values[:-1], IGNORED
        words += f"{IGNORED} is ignored, "
    classes = names or (["object"] if len(values) == 1 else [f"class-{value}" for value in values])
    if len(classes) != len(values):
        raise UserError(f"--classes: {len(classes)} names, and the masks hold {len(values)} values: {listed}")
    contiguous = values == list(range(1, len(values) + 1)) and len(values) > 1
    options["classes"] = classes if contiguous else dict(zip(classes, values, strict=True))
    words += f"{len(values)} classes" if len(values) > 1 else f"{values[0]} is the class"
    return Meaning(options, tuple(classes), bool(names), words)


def _single(options: dict[str, Any], names: list[str], words: str) -> Meaning:
    """The meaning of masks with one class."""
    if len(names) > 1:
        raise UserError(f"--classes: {len(names)} names, and the masks hold one class ({words})")
    name = names[0] if names else "object"
    return Meaning({**options, "classes": [name]}, (name,), bool(names), words)


def _colors(found: MaskValues, names: list[str]) -> Meaning:
    """The meaning of masks in colors: black, else white, is the background."""
    if len(found.colors) > MAX_CLASSES:
        raise UserError(
            f"masks hold more than {MAX_CLASSES} colors: soft edges, or photos? save them as PNG with one color a class"
        )
    ground = next((code for code in _GROUNDS if code in found.colors), None)
    codes = sorted(code for code in found.colors if code != ground)
    if not codes:
        raise UserError("masks hold one color and nothing else")
    classes = names or (["object"] if len(codes) == 1 else [f"color-{code:06x}" for code in codes])
    if len(classes) != len(codes):
        listed = ", ".join(shown(code, True) for code in codes)
        raise UserError(f"--classes: {len(classes)} names, and the masks hold {len(codes)} colors: {listed}")
    named = {name: shown(code, True) for name, code in zip(classes, codes, strict=True)}
    options: dict[str, Any] = {"classes": named}
    if ground:  # black is the reader's own default
        options["background"] = shown(ground, True)
    words = ", ".join(f"{color} {name}" for name, color in named.items())
    behind = f", {shown(ground, True)} background" if ground is not None else ""
    return Meaning(options, tuple(classes), bool(names), f"colors: {words}{behind}")
