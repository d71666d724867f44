"""COCO JSON: polygons, run lengths as numbers or compressed, crowds.

    {"images": [{"id": 7, "file_name": "a.jpg", "height": 64, "width": 96}, ...],
     "categories": [{"id": 1, "name": "cell"}, ...],
     "annotations": [{"id": 5, "image_id": 7, "category_id": 1, "segmentation": [[x, y, x, y, ...]]}, ...]}

The classes are all categories, in their order. An annotation is an instance; the later one in the file lies on top. The
pixels of crowds, which are several objects in one annotation, are ignored. The file is streamed: coordinates are kept
as numbers of 8 bytes and compressed run lengths as they are.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from promptseg.annotations import run_lengths
from promptseg.annotations.registry import head
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError
from promptseg.data import json_stream

NAME = "COCO JSON"
SUFFIXES = (".json",)
_LISTS = ("images", "annotations", "categories")
_KEYS = re.compile(r'"(?:images|annotations|categories)"\s*:\s*\[')
_ENTRY = re.compile(r'"(?:image_id|category_id|file_name|supercategory|categories|annotations|images)"\s*:')


class _Image(NamedTuple):
    name: str
    height: int | None
    width: int | None


class _Annotation(NamedTuple):
    """An annotation whose category is not known yet: the lists come in any order."""

    at: str
    category: Any
    ignored: bool
    rings: tuple[np.ndarray, ...]
    rle: dict | None


def matches(path: Path) -> bool:
    """Whether a file is an object with COCO's lists."""
    text = head(path).lstrip()
    return text.startswith("{") and _KEYS.search(text) is not None and len(_ENTRY.findall(text)) > 1


def classes(path: Path) -> list[str]:
    """Read the names of the categories, in the order of the file. Raises UserError as `read`."""
    categories: dict[Any, str] = {}
    for key, entry in json_stream.members(path, _LISTS):
        if key == "categories":
            _add_category(categories, entry, path)
        elif categories:
            break  # what follows is only damaged or not, which `read` says
    return list(dict.fromkeys(categories.values()))


def read(path: Path) -> Iterator[Annotated]:
    """Read the annotations of each image, also of those that have none, in the order of `images`.

    Raises:
        UserError: the file is damaged, an annotation is of an image or a category that is not listed, has no
            segmentation, or run lengths of another size; a category has no name.
    """
    images: dict[Any, _Image] = {}
    categories: dict[Any, str] = {}
    annotations: dict[Any, list[_Annotation]] = {}
    count = 0
    for key, entry in json_stream.members(path, _LISTS):
        if key == "images":
            _add_image(images, entry, path)
        elif key == "categories":
            _add_category(categories, entry, path)
        elif key == "annotations":
            count += 1
            image, annotation = _parse(entry, count, path)
            annotations.setdefault(image, []).append(annotation)
    for id, found in annotations.items():
        if id not in images:
            raise UserError(f"{path}: {found[0].at} is of the unknown image {id!r}; add it to images, or remove it")
        for each in found:
            if each.category not in categories:
                known = f"unknown category {each.category!r}; add it to categories, or correct it"
                raise UserError(f"{path}: {each.at} is of the {known}")
    for id, image in images.items():
        shapes = tuple(
            Shape(categories[each.category], each.rings, ignored=each.ignored, at=each.at, rle=each.rle)
            for each in annotations.pop(id, ())
        )
        yield Annotated(image.name, image.height, image.width, shapes)


def _add_image(images: dict[Any, _Image], entry: Any, path: Path) -> None:
    name = entry.get("file_name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name or not isinstance(id := entry.get("id"), (int, str)):
        raise UserError(f"{path}: image {len(images) + 1} of images has no id or no file_name; add it")
    if id in images:
        raise UserError(f"{path}: the images {images[id].name} and {name} have the same id {id!r}; correct one")
    size = [entry.get(key) for key in ("height", "width")]
    known = all(type(side) is int and side > 0 for side in size)
    images[id] = _Image(name, *(size if known else (None, None)))


def _add_category(categories: dict[Any, str], entry: Any, path: Path) -> None:
    name, id = (entry.get("name"), entry.get("id")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"{path}: category {len(categories) + 1 if id is None else id!r} has no name; add it")
    if not isinstance(id, (int, str)) or id in categories:
        raise UserError(f"{path}: category {name!r} has no id of its own; correct it")
    categories[id] = name


def _parse(entry: Any, number: int, path: Path) -> tuple[Any, _Annotation]:
    """The id of an annotation's image, and the annotation."""
    if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), (int, str)):
        raise UserError(f"{path}: annotation {number} of annotations has no image_id; correct it")
    at, found = f"annotation {entry.get('id', f'{number} of annotations')}", entry.get("segmentation")
    rings: tuple[np.ndarray, ...] = ()
    segmentation = None
    try:
        if isinstance(found, dict):
            segmentation = _run_lengths(found)
        elif isinstance(found, list) and found:
            rings = tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in found)
        elif entry.get("bbox"):
            raise UserError(f"{path}: {at} is a box without segmentation; a box is no mask, so annotate the outline")
        else:
            raise UserError(f"{path}: {at} has no segmentation; add it, or remove the annotation")
    except (ValueError, TypeError, OverflowError) as error:
        what = str(error) if isinstance(found, dict) else "polygons are [[x, y, x, y, ...], ...]"
        raise UserError(f"{path}: {at} has a damaged segmentation: {what}; export it again") from None
    category = entry.get("category_id")
    category = category if isinstance(category, (int, str)) else None
    return entry["image_id"], _Annotation(at, category, bool(entry.get("iscrowd")), rings, segmentation)


def _run_lengths(found: dict) -> dict:
    """A segmentation that is compressed. Raises ValueError."""
    size, counts = found.get("size"), found.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ValueError("run lengths have a size, [height, width]")
    if isinstance(counts, list):
        return run_lengths.from_counts(counts, *size)
    if not isinstance(counts, str):
        raise ValueError("run lengths have counts")
    return {"size": size, "counts": counts}
