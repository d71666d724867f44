"""What the image files of a folder are: formats by content, sizes, stacks, values of more than 8 bits, damage."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from promptseg.core import progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import file_kinds, image_io
from promptseg.data.tiff_stack import Stack

_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")  # modes of Pillow with more than 8 bits
_SAMPLED = 50  # images of more than 8 bits whose values are looked at
_PERCENTILES = (0.1, 99.9)
_STRIDE = 4  # of the pixels that are looked at, in both directions


@dataclass
class ImageFiles:
    """What headers say of all images.

    Attributes:
        formats: by content -> number of files.
        sizes: path -> (height, width).
        pages: path -> slices, of stacks.
        deep: paths of images with more than 8 bits.
        errors: a line for each image that cannot be read.
        broken: paths of these.
    """

    formats: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    pages: dict[str, int] = field(default_factory=dict)
    deep: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def read_headers(folder: Path, images: list[str]) -> ImageFiles:
    """Read the headers of all images.

    Args:
        folder: of the files.
        images: relative to it.

    Raises:
        UserError: none can be read.
    """
    found = ImageFiles()
    with ThreadPool(Ranks().cores) as pool:
        results = pool.map_ordered(partial(_header, folder), images)
        for path, header in zip(images, progress.bar(results, desc="images", total=len(images)), strict=True):
            found.formats[header.format] += 1
            if header.error:
                found.errors.append(header.error)
                found.broken.append(path)
                continue
            found.sizes[path] = header.size
            if header.pages > 1:
                found.pages[path] = header.pages
            if header.deep:
                found.deep.append(path)
    if len(found.errors) == len(images):
        raise UserError(f"{folder}: none of {len(images):,} images can be read; {found.errors[0]}")
    return found


def window(folder: Path, found: ImageFiles) -> list[float] | None:
    """Black and white of images with more than 8 bits: percentiles of evenly spaced ones; None where there are none.

    Args:
        folder: of the files.
        found: their headers.
    """
    chosen = found.deep[:: -(-len(found.deep) // _SAMPLED)] if found.deep else []
    limits = []
    for path in chosen:
        try:
            values = _deep_values(folder / path)
        except UserError:
            continue  # reading the image reports it
        values = values[::_STRIDE, ::_STRIDE].astype(np.float64)
        values = values[np.isfinite(values)]
        if values.size:
            limits.append(np.percentile(values, _PERCENTILES))
    if not limits:
        return None
    low, high = np.median(limits, axis=0)
    return [float(np.floor(low)), float(np.ceil(max(high, low + 1)))]


@dataclass(frozen=True)
class _Header:
    format: str
    size: tuple[int, int] = (0, 0)
    pages: int = 1
    deep: bool = False
    error: str = ""


def _header(folder: Path, path: str) -> _Header:
    kind = file_kinds.kind(folder / path)
    try:
        if kind == "TIFF":
            stack = Stack(folder / path)
            with_window = _needs_window(stack)
            height, width = stack.shape
            stack.close()
            return _Header(kind, (height, width), len(stack), with_window)
        size = image_io.image_size(folder / path)
        with Image.open(folder / path, formats=("PNG", "JPEG", "WEBP")) as image:
            return _Header(str(kind), size, 1, image.mode in _DEEP)
    except UserError as error:
        return _Header(kind or "unknown", error=str(error))


def _needs_window(stack: Stack) -> bool:
    try:
        stack.check_window()
    except UserError:
        return True
    return False


def _deep_values(path: Path) -> np.ndarray:
    """Values of the first slice or the only image, (h, w)."""
    if image_io.is_tiff(path):
        return Stack(path).values(0)
    return np.asarray(image_io.open_lossless(path))
