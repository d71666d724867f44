"""ROIs of ImageJ and Fiji: one in a .roi file, or the .zip of the ROI Manager; read by the optional package roifile.

Polygon, freehand and traced selections, rectangles, ovals and composite ones with holes are areas; lines, angles and
points are not. A name such as 0001-0123-0456 is a place and no class, so all are of the class "object"; the later lies
on top. Coordinates are corners of pixels, as ImageJ has them for areas. Rounded corners of rectangles are not rounded.
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from promptseg.annotations import outlines
from promptseg.annotations.shapes import Annotated, Shape
from promptseg.core.errors import UserError

NAME = "ImageJ ROI"
SUFFIXES = (".roi", ".zip")

_CLASS = "object"
_MAGIC = b"Iout"
_MAX_BYTES = 64 << 20  # of one ROI: 8 million points
# What zipfile raises; encrypted members are a RuntimeError.
_DAMAGE = (
    zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError, struct.error,
    IndexError, zlib.error, lzma.LZMAError,
)  # fmt: skip
_NO_AREAS = ("LINE", "FREELINE", "POLYLINE", "NOROI", "ANGLE", "POINT")


def matches(path: Path) -> bool:
    """Whether a file is a ROI, or a zip archive of nothing but ROIs."""
    if path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not _is_aside(info)]
    except _DAMAGE:
        return False
    return bool(names) and all(name.lower().endswith(".roi") for name in names)


def read(path: Path) -> Iterator[Annotated]:
    """Read the ROIs of the one image of a file.

    Raises:
        UserError: roifile is not installed, the file is damaged, its ROIs are on several slices, or one makes no area.
    """
    try:
        import roifile
    except ImportError:
        raise UserError(f"{path}: ROIs of ImageJ need the package roifile: `pip install roifile`") from None
    shapes: list[Shape] = []
    slices, skipped = set(), 0
    for number, (at, content) in enumerate(_contents(path), 1):
        try:
            roi = roifile.ImagejRoi.frombytes(content)
            if roi.roitype.name in _NO_AREAS:
                skipped += 1
                continue
            found = [Shape(_CLASS, (ring,), holes, at=at, instance=number) for ring, holes in _outlines(roi)]
        # What roifile raises for damage has no common base.
        except (ValueError, TypeError, IndexError, RuntimeError, NotImplementedError, struct.error) as error:
            raise UserError(f"{path}: {at}: not a readable ROI ({error}); save it again from ImageJ") from None
        shapes += found
        slices.add((roi.position, roi.z_position, roi.t_position))
    slices.discard((0, 0, 0))  # on all slices
    if len(slices) > 1:
        raise UserError(f"{path}: its ROIs are on {len(slices)} slices of a stack; save one file for each slice")
    yield Annotated("", None, None, tuple(shapes), skipped=skipped)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Place and bytes of each ROI, in the order of the file. Raises UserError."""
    if path.suffix.lower() != ".zip":
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path}: larger than any ROI; save it again from ImageJ")
        yield "ROI", path.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if _is_aside(info):
                    continue
                if info.file_size > _MAX_BYTES:
                    raise UserError(f"{path}: {info.filename} is larger than any ROI; save it again from ImageJ")
                yield info.filename, archive.read(info)
    except _DAMAGE as error:
        raise UserError(f"{path}: damaged archive ({error}); save it again from ImageJ") from None


def _is_aside(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a folder, or what macOS adds to archives."""
    return info.is_dir() or info.filename.startswith("__MACOSX/")


def _outlines(roi: Any) -> list[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """Outer outlines of a ROI, each with its holes. Raises ValueError, and what roifile raises."""
    kind, box = roi.roitype.name, (roi.left, roi.top, roi.right, roi.bottom)
    if roi.composite:
        paths = roi.coordinates(multi=True)
        return outlines.nested([outlines.ring(path) for path in paths if len(np.unique(path, axis=0)) > 2])
    if roi.subpixelrect:
        box = (roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd)
    left, top, right, bottom = map(float, box)
    if kind == "RECT":
        return [(outlines.rectangle(left, top, right, bottom), ())]
    if kind == "OVAL":
        return [(outlines.ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2), ())]
    return [(outlines.ring(roi.coordinates()), ())]
