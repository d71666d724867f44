"""CVAT XML 1.1 for images, as "CVAT for images" exports it.

Polygons, boxes and ellipses have coordinates of points, masks run lengths of rows in their box, starting with
background. A higher z_order lies on top, of equal ones the later; shapes of one label and group_id are one instance.
Polylines, points, cuboids and skeletons are no areas, tags are of whole images.

The file is read as a stream and keeps one image at a time. A document type is refused: it could define entities that
fill the memory.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from promptseg.annotations import outlines
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError
from promptseg.data import rle
from promptseg.data.image_io import MAX_PIXELS

NAME = "CVAT XML"
SUFFIXES = (".xml",)

_HEAD = 1 << 16  # bytes
_CHUNK = 1 << 20
_NO_AREAS = ("polyline", "points", "cuboid", "skeleton")
_NO_AREA_TYPES = (*_NO_AREAS, "tag")


def matches(path: Path) -> bool:
    """Whether the head of a file is that of CVAT's XML, for images or for video."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return bool(re.search(rb"<annotations\b[^>]*>\s*<(?:version|meta|image|track)\b", head))


def read(path: Path) -> Iterator[Annotated]:
    """Read the images of a file, in its order.

    Raises:
        UserError: the file is damaged, is a CVAT for video file, or holds a shape that makes no area.
    """
    target = _Target()
    for _ in _parsed(path, target):
        yield from target.images
        target.images.clear()


def classes(path: Path) -> list[str] | None:
    """Read the names of the labels that may have areas, in the order of the task; None where the file lists none.

    Raises:
        UserError: the file is damaged before its images.
    """
    target = _Target()
    for _ in _parsed(path, target):
        if target.has_image:
            break
    return [name for name, type in target.labels if type not in _NO_AREA_TYPES] or None


def _parsed(path: Path, target: "_Target") -> Iterator[None]:
    """Parse a file; yields after each chunk. Raises UserError."""
    parser = ElementTree.XMLParser(target=target)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                parser.feed(chunk)
                yield
        parser.close()
        yield
    except (ElementTree.ParseError, LookupError) as error:  # the latter for an unknown encoding
        raise UserError(f"{path}: damaged XML ({error}); export it again from CVAT") from None
    except ValueError as error:
        raise UserError(f"{path}: {target.where()}{error}") from None


class _Target:
    """What the parser calls: collects labels and the images that are complete. Raises ValueError for what is wrong."""

    def __init__(self) -> None:
        self.labels: list[tuple[str, str]] = []  # name and type
        self.images: list[Annotated] = []
        self.has_image = False
        self._path: list[str] = []
        self._text: list[str] = []
        self._image: dict[str, str] | None = None
        self._size: tuple[int | None, int | None] = (None, None)  # height and width of the image
        self._shapes: list[tuple[int, Shape]] = []  # with their z_order
        self._instances: dict[tuple[str, str], int] = {}
        self._count = self._skipped = 0  # shapes of the image, and those that are no areas among them
        self._at = ""

    def where(self) -> str:
        """The element that is read, for messages."""
        return f"{self._at}: " if self._at else ""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Refuse a document type."""
        raise ValueError("it has a document type (DOCTYPE), which CVAT does not write; export it again from CVAT")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        parent = self._path[-1] if self._path else None
        if parent is None and tag != "annotations":
            raise ValueError(f"its root is <{tag}>, not <annotations> of CVAT XML 1.1")
        self._path.append(tag)
        self._text = []
        if parent == "annotations" and tag == "track":
            raise ValueError('it is a "CVAT for video" file, with tracks; export the task as "CVAT for images 1.1"')
        if parent == "annotations" and tag == "image":
            self.has_image, self._image = True, attributes
            self._shapes, self._instances, self._count, self._skipped = [], {}, 0, 0
            self._at = f"image {attributes.get('name') or attributes.get('id', '')}"
            height, width = (_integer(attributes, key, None) for key in ("height", "width"))
            self._size = height, width
            if (height or 0) * (width or 0) > MAX_PIXELS:
                raise ValueError(f"its {width} x {height} pixels are more than promptseg reads ({MAX_PIXELS:,})")
        elif parent == "image" and tag in (*_RINGS, "mask", *_NO_AREAS):
            self._count += 1
            if tag in _NO_AREAS:
                self._skipped += 1
            else:
                self._shape(tag, attributes)

    def data(self, text: str) -> None:
        """Collect text."""
        self._text.append(text)

    def end(self, tag: str) -> None:
        """End an element."""
        self._path.pop()
        text = "".join(self._text).strip()
        if self._path[-2:] == ["labels", "label"] and tag == "name":
            self.labels.append((text, ""))
        elif self._path[-2:] == ["labels", "label"] and tag == "type" and self.labels:
            self.labels[-1] = (self.labels[-1][0], text)
        elif tag == "image" and self._image is not None and self._path == ["annotations"]:
            name = self._image.get("name")
            if not name:
                raise ValueError("it has no name")
            shapes = [shape for _, shape in sorted(self._shapes, key=lambda each: each[0])]
            self.images.append(Annotated(name, *self._size, tuple(shapes), skipped=self._skipped))
            self._image, self._at = None, ""

    def close(self) -> None:
        """End the document."""

    def _shape(self, tag: str, attributes: dict[str, str]) -> None:
        image, self._at = self._at, f"{self._at}, {tag} {self._count}"
        label, group = attributes.get("label"), attributes.get("group_id", "0")
        if not label:
            raise ValueError("it has no label")
        instance = None
        if group != "0":
            instance = self._instances.setdefault((label, group), len(self._instances) + 1)
        area = _mask(attributes, self._size) if tag == "mask" else {"rings": (_RINGS[tag](attributes),)}
        shape = Shape(label, **area, instance=instance, at=self._at)
        self._shapes.append((_integer(attributes, "z_order", 0) or 0, shape))
        self._at = image


def _polygon(attributes: dict[str, str]) -> np.ndarray:
    points = _value(attributes, "points").replace(";", ",").split(",")
    return outlines.ring(points)


def _box(attributes: dict[str, str]) -> np.ndarray:
    left, top, right, bottom = (_number(attributes, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return outlines.rectangle(left, top, right, bottom, _number(attributes, "rotation", 0))


def _ellipse(attributes: dict[str, str]) -> np.ndarray:
    x, y, x_radius, y_radius = (_number(attributes, key) for key in ("cx", "cy", "rx", "ry"))
    return outlines.ellipse(x, y, x_radius, y_radius, _number(attributes, "rotation", 0))


def _mask(attributes: dict[str, str], size: tuple[int | None, int | None]) -> dict[str, Any]:
    """The fields of a shape for a mask. size: height and width of the image."""
    left, top, width, height = (_integer(attributes, key, None) for key in ("left", "top", "width", "height"))
    if left is None or top is None or not width or not height or min(width, height) < 0:
        raise ValueError("it needs left, top, width and height")
    if width * height > MAX_PIXELS:
        raise ValueError(f"its {width} x {height} pixels are more than promptseg reads ({MAX_PIXELS:,})")
    try:
        runs = np.array(_value(attributes, "rle").split(","), np.int64)
    except (ValueError, OverflowError):
        raise ValueError("its rle is not a list of run lengths") from None
    # One by one: the sum of damaged ones could overflow.
    if (runs < 0).any() or (runs > width * height).any() or int(runs.sum()) != width * height:
        raise ValueError(f"the run lengths of its rle should fill its {width} x {height} pixels")
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    if size[0] and size[1] and 0 <= top <= size[0] - height and 0 <= left <= size[1] - width:
        return {"rle": rle.encode(mask, top, left, size[0], size[1])}  # a tenth of the memory
    return {"mask": mask, "top": top, "left": left}


_RINGS: dict[str, Callable[[dict[str, str]], np.ndarray]] = {"polygon": _polygon, "box": _box, "ellipse": _ellipse}


def _value(attributes: dict[str, str], key: str) -> str:
    if key not in attributes:
        raise ValueError(f"it has no {key}")
    return attributes[key]


def _number(attributes: dict[str, str], key: str, default: float | None = None) -> float:
    if default is not None and key not in attributes:
        return default
    try:
        return float(_value(attributes, key))
    except ValueError:
        raise ValueError(f"its {key} {attributes.get(key)!r} is not a number") from None


def _integer(attributes: dict[str, str], key: str, default: int | None) -> int | None:
    if key not in attributes:
        return default
    try:
        return int(float(attributes[key]))
    except (ValueError, OverflowError):
        raise ValueError(f"its {key} {attributes[key]!r} is not a number") from None
