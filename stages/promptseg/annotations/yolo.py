"""YOLO segmentation: labels/<name>.txt beside images/<name>.jpg, and a data.yaml with the names of the classes.

    0 0.25 0.31 0.27 0.35 0.24 0.36          class, then x and y of each corner, as shares of width and height

A line is an instance; the later one lies on top. The file is found by the name of its image, and one without lines says
that the image shows nothing. A line has one ring. Holes are in it by order: the ring goes round the outline, over a
bridge to the hole, round the hole, and back over the same bridge. A pixel is inside where it is enclosed an odd number
of times, so the hole is left out, and the bridge, which is passed twice, has no area.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from promptseg.annotations.registry import head
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError

NAME = "YOLO txt"
SUFFIXES = (".txt",)
_LINE = re.compile(r"\d+(?:[ \t]+[-+.\deE]+){4,}")
_BOX = 5  # numbers in a line
_FAR = 2.0  # shares of an image are not above it, pixels are
_LEVELS = 4  # folders above a file that data.yaml may be in: labels/train/x.txt, train/labels/x.txt


def matches(path: Path) -> bool:
    """Whether the lines of a file are a class and at least 4 numbers."""
    text = head(path)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complete = lines[:-1] or lines  # the last one may be cut
    return bool(lines) and all(_LINE.fullmatch(line) for line in complete[:100])


def classes(path: Path) -> list[str]:
    """Read the names of the classes, in the order of data.yaml. Raises UserError where it is missing or damaged."""
    return list(_names(path))


def read(path: Path) -> Iterator[Annotated]:
    """Read the annotations of the image that has the file's name.

    Raises:
        UserError: a line is a box, is damaged or of an unknown class, or data.yaml is missing or damaged.
    """
    names, shapes = _names(path), []
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: damaged, no text; export it again") from None
    for number, line in enumerate(lines, 1):
        if words := line.split():
            shapes.append(_shape(words, names, f"{path}: line {number}", f"line {number}"))
    yield Annotated("", None, None, tuple(shapes), normalized=True)


def _shape(words: list[str], names: tuple[str, ...], where: str, at: str) -> Shape:
    if len(words) == _BOX:
        raise UserError(f"{where} is a box; boxes are no masks, so export polygons (YOLO segmentation)")
    try:
        label, values = int(words[0]), np.array(words[1:], np.float64)
    except ValueError:
        raise UserError(f"{where} holds what is no number; a line is a class and x y x y ...") from None
    if not 0 <= label < len(names):
        raise UserError(f"{where} is of the unknown class {label}; data.yaml names 0 to {len(names) - 1}")
    if len(values) % 2 or len(values) < 6:
        count = f"{len(values)} numbers"
        raise UserError(f"{where} has {count} after its class; a polygon has x and y of 3 points at least")
    if not np.isfinite(values).all() or np.abs(values).max() > _FAR:
        raise UserError(f"{where} has coordinates that are no shares of width and height, from 0 to 1; export it again")
    return Shape(names[label], (values.reshape(-1, 2),), at=at)


def _names(path: Path) -> tuple[str, ...]:
    """The names of classes 0, 1, ... that the data.yaml next to a file, or above it, gives."""
    folder = Path(path).absolute().parent
    for place in [folder, *folder.parents][:_LEVELS]:
        if found := _names_in(place):
            return found
    raise UserError(f"{path}: no data.yaml with the names of its classes is beside labels/; add one: names: [cell]")


@functools.lru_cache(maxsize=64)
def _names_in(folder: Path) -> tuple[str, ...] | None:
    """The names in a folder's data.yaml, or in another YAML file that has some."""
    files = sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")), key=lambda file: (file.stem != "data", file.name))
    for file in files:
        try:
            found = yaml.safe_load(file.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            if file.stem == "data":
                raise UserError(f"{file}: damaged, no YAML ({type(error).__name__}); export it again") from None
            continue
        if isinstance(found, dict) and "names" in found:
            return _listed(found["names"], file)
    return None


def _listed(names: object, file: Path) -> tuple[str, ...]:
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        names = [names.get(index, names.get(str(index))) for index in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, (str, int)) for name in names):
        raise UserError(f"{file}: names is neither a list of names nor {{0: name, 1: name, ...}}; correct it")
    return tuple(str(name) for name in names)
