"""labelme JSON, a file for each image: polygons, rectangles, circles and masks.

    {"shapes": [{"label": "cell", "shape_type": "polygon", "points": [[x, y], ...], "group_id": null}, ...],
     "imagePath": "a.jpg", "imageHeight": 64, "imageWidth": 96}

Shapes of the same group_id and label are one instance. A circle is its center and a point on it. A mask is a PNG of the
pixels in the box from its first point to its last one, both included. Lines and points are no areas: they are left out.
"""

import base64
import binascii
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from promptseg.annotations.registry import head
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError

NAME = "labelme JSON"
SUFFIXES = (".json",)
_LINES = ("point", "points", "line", "linestrip")
_AREAS = ("polygon", "rectangle", "circle", "mask")
_KEYS = re.compile(r'"(?:shapes"\s*:\s*\[|imageData"\s*:|imagePath"\s*:)')
_CORNERS = 10_000  # of the polygon for a circle, at most


def matches(path: Path) -> bool:
    """Whether a file is an object with labelme's keys."""
    text = head(path).lstrip()
    return text.startswith("{") and _KEYS.search(text) is not None


def read(path: Path) -> Iterator[Annotated]:
    """Read the annotations of the one image of a file.

    Raises:
        UserError: the file is damaged, or a shape has no label, wrong points or an unknown type.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError):
        raise UserError(f"{path}: truncated or damaged, no JSON; save it again") from None
    if not isinstance(found, dict) or not isinstance(found.get("shapes"), list):
        raise UserError(f"{path}: it has no list of shapes, as labelme's files have; save it again")
    groups: dict[Any, int] = {}
    shapes, skipped = [], 0
    for number, entry in enumerate(found["shapes"], 1):
        if isinstance(entry, dict) and entry.get("shape_type") in _LINES:
            skipped += 1
            continue
        try:
            shapes.append(_shape(entry, f"shape {number}", groups))
        except (ValueError, TypeError, OverflowError) as error:
            reason = str(error) if type(error) is ValueError else "its points are damaged"
            raise UserError(f"{path}: shape {number}: {reason}; correct or remove it") from None
    size = [found.get(key) for key in ("imageHeight", "imageWidth")]
    height, width = size if all(type(side) is int and side > 0 for side in size) else (None, None)
    image = found.get("imagePath")
    name = image.replace("\\", "/") if isinstance(image, str) else ""
    yield Annotated(name, height, width, tuple(shapes), skipped=skipped)


def _shape(entry: Any, at: str, groups: dict[Any, int]) -> Shape:
    """Parse a shape. groups: numbers of the group ids, which are added to. Raises ValueError, TypeError."""
    if not isinstance(entry, dict) or not isinstance(label := entry.get("label"), str) or not label.strip():
        raise ValueError("it has no label")
    kind = entry.get("shape_type") or "polygon"
    if kind not in _AREAS:
        raise ValueError(f"its shape_type {kind!r} is none of {', '.join(_AREAS)}")
    points = np.array(entry.get("points"), np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("its points are not [[x, y], ...]")
    group = entry.get("group_id")
    instance = None if group is None else groups.setdefault(str(group), len(groups) + 1)
    if kind == "polygon" or (kind == "rectangle" and len(points) == 4):
        return Shape(label, (points,), instance=instance, at=at)
    if len(points) != 2:
        raise ValueError(f"a {kind} has 2 points, this one {len(points)}")
    if kind == "mask":
        mask, top, left = _mask(entry.get("mask"), points)
        return Shape(label, mask=mask, top=top, left=left, instance=instance, at=at)
    ring = _circle(*points) if kind == "circle" else points[[0, 0, 1, 1]] * [1, 0] + points[[0, 1, 1, 0]] * [0, 1]
    return Shape(label, (ring,), instance=instance, at=at)


def _circle(center: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A circle as a polygon whose sides are no longer than a quarter of a pixel."""
    radius = math.dist(center, point)
    angles = np.linspace(0, 2 * np.pi, min(_CORNERS, max(32, math.ceil(8 * np.pi * radius))), endpoint=False)
    return center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _mask(encoded: Any, points: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The pixels of a mask, (h, w) bool, its first row and its first column. Raises ValueError."""
    from PIL import Image

    (left, top), (right, bottom) = np.rint(points).astype(int).tolist()
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)), formats=("PNG",)) as image:
            size = image.size
            if size == (right - left + 1, bottom - top + 1):
                return np.asarray(image.convert("L")) > 0, top, left
    except (binascii.Error, TypeError, OSError, SyntaxError):
        raise ValueError("its mask is no PNG in base64") from None
    box = f"{right - left + 1}x{bottom - top + 1}"
    raise ValueError(f"its mask is {size[0]}x{size[1]}, but its box {box}")
