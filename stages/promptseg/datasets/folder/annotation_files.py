"""Annotations that are no masks: named, so that nobody looks for damage in them."""

import json
import os
import re
from pathlib import Path

_REMEDY = (
    "which promptseg does not read: convert it to masks, PNG or TIFF with 0 as background and 1, 2, ... as classes"
)
_YOLO_LINE = re.compile(r"\d+( +[\d.eE+-]+){4,}")
_LOOKED_AT = 20  # files; others are of the same kind
_MAX_BYTES = 200_000_000


def described(folder: Path, files: list[str]) -> str | None:
    """Name the format of the first annotation among files.

    Args:
        folder: of the files.
        files: relative to it.

    Returns:
        What it is and what is read instead, for a message; None where there is no annotation of a known format.
    """
    candidates = [path for path in files if os.path.splitext(path)[1].lower() in _FORMATS]
    for path in candidates[:_LOOKED_AT]:
        try:
            if (folder / path).stat().st_size > _MAX_BYTES:
                continue
            name = _FORMATS[os.path.splitext(path)[1].lower()]((folder / path).read_text(errors="replace"))
        except (OSError, ValueError, RecursionError):
            continue
        if name:
            return f"{path} holds {name}, {_REMEDY}"
    return None


def _text(content: str) -> str | None:
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines or not all(_YOLO_LINE.fullmatch(line) for line in lines[:100]):
        return None
    return (
        "boxes in YOLO's txt format"
        if all(len(line.split()) == 5 for line in lines)
        else "polygons in YOLO's txt format"
    )


def _json(content: str) -> str | None:
    found = json.loads(content)
    if not isinstance(found, dict):
        return None
    if "annotations" in found and "images" in found:
        return "annotations in COCO's JSON format"
    if "shapes" in found:
        return "polygons in labelme's JSON format"
    if found.get("type") in ("FeatureCollection", "Feature"):
        return "polygons as GeoJSON"
    if any(isinstance(each, dict) and "regions" in each for each in found.values()):
        return "polygons in VIA's JSON format"
    return None


def _xml(content: str) -> str | None:
    match = re.search(r"<(annotations?)\b", content)
    return (
        {
            "annotation": "annotations in Pascal VOC's or LabelMe's XML format",
            "annotations": "annotations in CVAT's XML format",
        }[match[1]]
        if match
        else None
    )


_FORMATS = {".txt": _text, ".json": _json, ".geojson": _json, ".xml": _xml}
