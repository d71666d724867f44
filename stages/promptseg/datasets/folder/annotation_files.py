"""Annotations that are no masks: named, with the option that reads them."""

import json
import os
import re
from pathlib import Path

from promptseg import annotations
from promptseg.data import file_names

_REMEDY = (
    "which promptseg does not read: convert it to masks, PNG or TIFF with 0 as background and 1, 2, ... as classes"
)
_LOOKED_AT = 20  # files; others are of the same kind
_MAX_BYTES = 200_000_000


def described(folder: Path, files: list[str]) -> str | None:
    """Name the format of the first annotation among files.

    Args:
        folder: of the files.
        files: relative to it.

    Returns:
        What it is and what to do, for a message; None where there is no annotation of a known format.
    """
    suffixes = {suffix for module in annotations.formats() for suffix in module.SUFFIXES} | _UNREAD.keys()
    candidates = file_names.with_suffix(files, suffixes)
    for path in candidates[:_LOOKED_AT]:
        if (module := annotations.recognize(folder / path)) is not None:
            read = f"set options.annotations: '{pattern_of(path, files)}' instead of masks"
            return f"{path} holds {module.NAME}: {getattr(module, 'INSTEAD', read)}"
        if name := _unread(folder / path):
            return f"{path} holds {name}, {_REMEDY}"
    return None


def pattern_of(path: str, files: list[str]) -> str:
    """A value of options.annotations for a file and those that are like it."""
    suffix = os.path.splitext(path)[1]
    base, (top, inside, _) = os.path.basename(path), path.partition("/")
    if inside and sum(other.endswith(f"/{base}") for other in files) > 1:  # one for each split, say
        return f"**/{base}"
    alike = [other for other in files if other.endswith(suffix)]
    alike = [other for other in alike if (other.startswith(f"{top}/") if inside else "/" not in other)]
    if len(alike) < 2:
        return path
    folders = {os.path.dirname(other) for other in alike}
    home = os.path.commonpath(folders) if all(folders) else ""
    name = "{name}" if len(folders) == 1 else "{name:**}"
    return f"{home}/{name}{suffix}" if home else f"{name}{suffix}"


def _unread(path: Path) -> str | None:
    """Name the format of an annotation that is not read."""
    try:
        parse = _UNREAD.get(path.suffix.lower())
        return parse(path.read_text(errors="replace")) if parse and path.stat().st_size <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _json(content: str) -> str | None:
    found = json.loads(content)
    if isinstance(found, dict) and any(isinstance(each, dict) and "regions" in each for each in found.values()):
        return "polygons in VIA's JSON format"
    return None


def _xml(content: str) -> str | None:
    return "annotations in Pascal VOC's or LabelMe's XML format" if re.search(r"<annotation\b", content) else None


_UNREAD = {".json": _json, ".xml": _xml}
