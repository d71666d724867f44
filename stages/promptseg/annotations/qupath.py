"""GeoJSON as QuPath exports objects of one image: a FeatureCollection, a list of features, or a single feature.

Polygons and multipolygons are areas, with holes; points and lines are not. Coordinates are pixels at full resolution,
pixel i covering [i, i + 1). The class is `classification`; where no object of a file has one, all are of the class
"object". Detections and cells lie on top of annotations, which often are regions around them; otherwise later objects
lie on top. The nucleus of a cell (`nucleusGeometry`) is not read: it is a part of the cell.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from promptseg.annotations import outlines
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError

NAME = "QuPath GeoJSON"
SUFFIXES = (".geojson", ".json")

_UNNAMED = "object"  # class of the objects of a file without classes
_HEAD = 1 << 16  # bytes
_START = re.compile(r'\s*(?:\[\s*)?\{.*?"type"\s*:\s*"Feature(?:Collection)?"', re.DOTALL)


def matches(path: Path) -> bool:
    """Whether the head of a file is that of GeoJSON with features."""
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", errors="replace")
    return _START.match(head) is not None


def read(path: Path) -> Iterator[Annotated]:
    """Read the objects of the one image of a file.

    Raises:
        UserError: the file is damaged, lies on several planes, or has an object without class where others have one, or
            one that makes no area.
    """
    areas, skipped = _areas(path)
    named = any(label for _, label, _ in areas)
    planes = {_plane(geometry) for geometry, _, _ in areas}
    if len(planes) > 1:
        raise UserError(f"{path}: its objects are on {len(planes)} planes of a stack; export one file for each plane")
    shapes: list[Shape] = []
    for number, (geometry, label, at) in enumerate(areas, 1):
        if named and not label:
            raise UserError(f"{path}: {at} has no class, where others have one; give it one in QuPath, or delete it")
        try:
            shapes += _shapes(geometry, label or _UNNAMED, number, at)
        except ValueError as error:
            raise UserError(f"{path}: {at}: {error}") from None
    yield Annotated("", None, None, tuple(shapes), skipped=skipped)


def _areas(path: Path) -> tuple[list[tuple[dict, str, str]], int]:
    """Geometry, class and place of each area, the topmost last; and the number of objects that are none.

    Raises UserError.
    """
    areas, skipped = [], 0
    for number, feature in enumerate(_features(path), 1):
        at = f"feature {number}"
        geometry, properties = feature.get("geometry"), feature.get("properties") or {}
        if feature.get("type") != "Feature" or not isinstance(properties, dict):
            raise UserError(f"{path}: {at} is not a GeoJSON feature; export the objects again from QuPath")
        if not isinstance(geometry, dict) or not isinstance(geometry.get("type"), str):
            raise UserError(f"{path}: {at} has no geometry; export the objects again from QuPath")
        if geometry["type"] not in ("Polygon", "MultiPolygon"):
            skipped += 1
            continue
        kind = properties.get("objectType", properties.get("object_type", "annotation"))
        areas.append((kind != "annotation", geometry, _label(properties.get("classification")), at))
    areas.sort(key=lambda each: each[0])
    return [(geometry, label, at) for _, geometry, label, at in areas], skipped


def _features(path: Path) -> list[dict]:
    """The features of a file, whose outlines are arrays or, where they are damaged, still lists. Raises UserError."""
    try:
        found = json.loads(path.read_text("utf-8-sig"), object_hook=_compact)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged JSON ({error}); export it again from QuPath") from None
    if isinstance(found, dict):
        found = found.get("features") if found.get("type") == "FeatureCollection" else [found]
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UserError(f"{path}: it is not GeoJSON with features; export the objects again from QuPath")
    return found


def _compact(value: dict) -> dict:
    """Turn the outlines of a geometry into arrays as soon as it is read: as lists they take ten times the memory."""
    depth = {"Polygon": 1, "MultiPolygon": 2}.get(str(value.get("type")))
    if depth is not None and "coordinates" in value:
        with suppress(TypeError, ValueError):  # damage is named when its feature is looked at
            value["coordinates"] = _rings(value["coordinates"], depth)
    return value


def _rings(coordinates: Any, depth: int) -> list:
    if depth == 0:
        return outlines.ring(coordinates)  # type: ignore[return-value]
    return [_rings(each, depth - 1) for each in coordinates]


def _shapes(geometry: dict, label: str, number: int, at: str) -> Iterator[Shape]:
    """A shape for each polygon, so that one in a hole of another is not cut out. Raises ValueError."""
    is_several = geometry["type"] == "MultiPolygon"
    polygons = geometry.get("coordinates") if is_several else [geometry.get("coordinates")]
    if not isinstance(polygons, list) or not all(isinstance(rings, list) and rings for rings in polygons):
        raise ValueError("it has no coordinates")
    for rings in polygons:
        outer, *holes = [outlines.ring(each) for each in rings]
        yield Shape(label, (outer,), tuple(holes), instance=number if is_several else None, at=at)


def _label(classification: Any) -> str:
    """The name of a class; "" for none."""
    if isinstance(classification, dict):
        names = classification.get("names")
        classification = ": ".join(map(str, names)) if isinstance(names, list) else classification.get("name")
    return classification.strip() if isinstance(classification, str) else ""


def _plane(geometry: dict) -> tuple[str, str]:
    """Slice and time of an object, which QuPath writes where they are not the first; channels are of one image."""
    plane = geometry.get("plane")
    plane = plane if isinstance(plane, dict) else {}
    return str(plane.get("z", 0)), str(plane.get("t", 0))
