"""How the images and masks of a folder are read: the entry of params.yaml, and the evidence for it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptseg import datasets
from promptseg.core.errors import UserError
from promptseg.data.file_names import walk
from promptseg.datasets.folder.pairing import FilePair
from promptseg.datasets.folder.patterns import split_of
from promptseg.inspection import (
    annotation_layouts,
    groups,
    image_files,
    layouts,
    listing,
    mask_values,
    official,
    volumes,
)
from promptseg.inspection.annotation_layouts import AnnotationLayout
from promptseg.inspection.description import Description
from promptseg.inspection.groups import Groups
from promptseg.inspection.image_files import ImageFiles
from promptseg.inspection.layouts import Layout
from promptseg.inspection.mask_values import MaskValues

_MANY = 200  # images
_VAL_FRACTION = 0.2  # of the groups, where there are not many images
_NAMED = 3  # files that are named
_LISTED = 12  # classes that are named


def describe(folder: Path, names: list[str]) -> Description:
    """Find out how a folder is to be read.

    Args:
        folder: of the user.
        names: of the classes, as the user gave them; may be empty.

    Raises:
        UserError: there are no images with masks, or what masks hold is not clear.
    """
    if not folder.is_dir():
        what = "a file; unpack it and give the folder" if folder.is_file() else "no such folder"
        raise UserError(f"{folder}: {what}")
    files = walk(folder)
    listing.check_readable(folder, files)
    found = _described(folder, files, names)
    if links := listing.linked_folders(folder, files):
        what = f"{_some(links)}: dvc does not watch what links lead to; after a change there, use dvc repro --force"
        return replace(found, evidence=(*found.evidence, ("links", what)))
    return found


def _described(folder: Path, files: list[str], names: list[str]) -> Description:
    known = official.recognize(folder)
    if known is not None:
        return _of_official(folder, known, names)
    found = annotation_layouts.find(folder, files)
    try:
        layout = layouts.find(folder, files)
    except UserError:
        if found is None:
            raise
        layout = None
    if found is not None and (layout is None or layout.unused):
        return _of_annotations(folder, found, files, names)
    if layout is None:
        raise UserError(f"{folder}: {listing.nothing(folder, files)}")
    return _of_layout(folder, layout, files, names)


def _of_official(folder: Path, known: official.Official, names: list[str]) -> Description:
    module = datasets.load(known.entry["reader"])
    classes, entry = datasets.classes(module), dict(known.entry)
    if names:
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise UserError(f"--classes: {unknown[0]!r} is not a class of {known.title}; known: {', '.join(classes)}")
        entry["classes"] = names
    evidence = [("layout", f"looks like {known.title}: reader {entry['reader']}, settings of the shipped study")]
    if known.others:
        evidence.append(("", f"the readers {', '.join(known.others)} would take it as well"))
    chosen = entry.get("classes")
    evidence.append(("classes", shortened(classes) + (f"; the study is about {shortened(chosen)}" if chosen else "")))
    return Description(folder, known.name, entry, classes, True, known.phrases, evidence=tuple(evidence))


def _of_layout(folder: Path, layout: Layout, files: list[str], names: list[str]) -> Description:
    pairs = layout.pairing.pairs
    images, masks = [pair.image for pair in pairs], [path for pair in pairs for path in pair.masks]
    headers = image_files.read_headers(folder, images)
    stack = 2 * len(headers.pages) > len(images)
    values = mask_values.read(folder, masks, stack)
    several = not layout.classes and any(len(pair.masks) > 1 for pair in pairs)
    meaning = mask_values.meaning(values, layout.classes, [] if layout.classes else names, several)
    options: dict[str, Any] = {"images": layout.images, "masks": layout.masks, **meaning.options}
    left_out = layout.pairing.left_out
    if left_out:
        options["unpaired"] = "skip"
    window = image_files.window(folder, headers)
    if window is not None:
        options["window"] = window
    if stack:
        options |= {"stack": True, "block": volumes.block(sum(headers.pages.values()))}
    if "{split}" not in layout.images and (splits := _splits_by_name(images)):
        options["splits"] = splits
    pages = {} if stack else headers.pages
    problems = [f"{folder / path}: it holds {count} pages where one image is expected" for path, count in pages.items()]
    problems += [*headers.errors, *values.errors, *_unequal(folder, layout, headers, values)]
    entry = _entry(options, len(images))
    if problems:
        entry["skip_invalid"] = True
    if layout.classes and names:
        entry["classes"] = names
    evidence = [
        ("formats", ", ".join(f"{count:,} {kind}" for kind, count in sorted(headers.formats.items()))),
        ("pairs", f"{layout.images} with {layout.masks}: {len(pairs):,}"),
    ]
    if stack:
        slices = f"{len(headers.pages)} of {sum(headers.pages.values())} slices"
        evidence.append(("stacks", f"{slices}; groups of {options['block']} consecutive slices"))
    if window is not None:
        evidence.append(_of_window(len(headers.deep), window))
    if left_out:
        evidence.append(("unpaired", f"left out, without counterpart: {_some(left_out)}"))
    if unused := [path for path in layout.unused if path not in left_out]:
        evidence.append(("unused", f"neither an image with a mask nor a mask: {_some(unused)}"))
    if others := listing.others(files):
        evidence.append(("other", f"not read: {others}"))
    evidence.append(("masks", meaning.words))
    suggested = None if stack else _groups(folder, pairs, headers, options, evidence)
    return Description(
        folder,
        listing.dataset_name(folder),
        entry,
        meaning.classes,
        meaning.named,
        (),
        suggested,
        tuple(evidence),
        tuple(problems),
    )


def _of_annotations(folder: Path, layout: AnnotationLayout, files: list[str], names: list[str]) -> Description:
    images = [pair.image for pair in layout.pairing.pairs]
    classes, left_out = layout.pairing.classes, layout.pairing.left_out
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise UserError(f"--classes: {unknown[0]!r} is not in {layout.annotations}, which has {shortened(classes)}")
    options: dict[str, Any] = {"images": layout.images, "annotations": layout.annotations, "classes": list(classes)}
    headers = image_files.read_headers(folder, images)
    entry = _entry(options, len(images))
    evidence = [
        ("formats", ", ".join(f"{count:,} {kind}" for kind, count in sorted(headers.formats.items()))),
        ("layout", f"{layout.images} with {layout.annotations}, {layout.title}: {len(images):,}"),
    ]
    window = image_files.window(folder, headers)
    if window is not None:
        options["window"] = window
        evidence.append(_of_window(len(headers.deep), window))
    if left_out:
        options["unpaired"] = "skip"
        evidence.append(("unpaired", f"left out, without counterpart: {_some(left_out)}"))
    if names:
        entry["classes"] = names
    if headers.errors:
        entry["skip_invalid"] = True
    evidence.append(("classes", shortened(classes)))
    suggested = _groups(folder, layout.pairing.pairs, headers, options, evidence)
    return Description(
        folder,
        listing.dataset_name(folder),
        entry,
        classes,
        True,
        (),
        suggested,
        tuple(evidence),
        tuple(headers.errors),
    )


def _groups(
    folder: Path, pairs: list[FilePair], headers: ImageFiles, options: dict[str, Any], evidence: list[tuple[str, str]]
) -> Groups | None:
    """The groups that names suggest; otherwise those of volumes, if the images are slices, as options and evidence."""
    suggested = groups.find([pair.image for pair in pairs])
    splits = len({pair.values.get("split") for pair in pairs})
    if suggested is None and (found := volumes.find(folder, headers.sizes, options.get("window"), splits)):
        options |= found[0]
        evidence.append(("volume", found[1]))
    return suggested


def _entry(options: dict[str, Any], images: int) -> dict[str, Any]:
    """The entry of a folder; of few images a tenth would be too few to validate on."""
    few = {"val_fraction": _VAL_FRACTION} if images < _MANY else {}
    return {"reader": "folder", "options": options, **few}


def _of_window(images: int, window: list[float]) -> tuple[str, str]:
    what = f"more than 8 bits in {images:,} of the images"
    return "range", f"{what}; black and white at {window[0]:g} and {window[1]:g}, of which 0.2 % are outside"


def _unequal(folder: Path, layout: Layout, headers: ImageFiles, values: MaskValues) -> Iterator[str]:
    """Yield a line for each mask of another size than its image; of stacks, the reader compares slices."""
    for pair in layout.pairing.pairs:
        own = headers.sizes.get(pair.image)
        for path in pair.masks:
            size = values.sizes.get(path)
            if own is not None and size is not None and own != size:
                yield f"{folder / path}: {_size(size)}, and its image {pair.image} is {_size(own)}"


def _splits_by_name(images: list[str]) -> dict[str, str] | None:
    """Regular expressions for the splits, where all names are words for them: training.tif and testing.tif."""
    words = {path: os.path.splitext(path.rsplit("/", 1)[-1])[0] for path in images}
    splits = {path: split_of(word) for path, word in words.items()}
    if None in splits.values() or "train" not in splits.values():
        return None
    return {str(splits[path]): rf"(?:^|/){words[path]}\." for path in images}


def shortened(names: Iterable[str]) -> str:
    """Names with commas, the first ones of many."""
    listed = list(names)
    more = f", ... ({len(listed)})" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def _some(paths: list[str]) -> str:
    more = f", ... ({len(paths):,})" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]}x{shape[0]}"
