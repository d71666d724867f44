"""The pictures that a person names: files, stacks slice by slice, folders with all that is in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import natural
from promptseg.data.tiff_stack import Stack

KINDS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class Opened:
    """A picture that is read when it is asked for: read() -> (h, w) or (h, w, 3) uint8; it raises UserError.

    name: what files about it are called, with folders where it came out of one; slice: its place in a stack.
    """

    name: str
    path: Path
    slice: int | None
    read: Callable[[], np.ndarray]


def pictures(paths: list[Path], window: tuple[float, float] | None, without: Path) -> Iterator[Opened]:
    """What these files and folders hold, in the order given; in a folder, sorted as people count.

    window: the values that become black and white, for 16-bit and float pictures. without: a folder that is passed
    over, for what was written there before is no input. Raises UserError where there is nothing, or a name comes twice.
    """
    seen: dict[str, Path] = {}
    for given in paths:
        for name, path in _files(given, without):
            for opened in _open(name, path, window):
                if opened.name in seen:
                    raise UserError(
                        f"{path}: its results would have the name of those of {seen[opened.name]}; "
                        "segment them one after the other, each with an --out of its own"
                    )
                seen[opened.name] = path
                yield opened


def _files(given: Path, without: Path) -> list[tuple[str, Path]]:
    """Name and path of a file, or of all pictures in a folder and in those below it, without what is hidden."""
    if not given.exists():
        raise UserError(f"{given}: not found")
    if not given.is_dir():
        return [(given.stem, given)]
    found = {}
    for path in given.rglob("*"):
        inner = path.relative_to(given)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix.lower() in KINDS and not hidden and path.is_file():
            if not path.resolve().is_relative_to(without.resolve()):
                found[inner.as_posix()] = inner.with_suffix("").as_posix(), path
    if not found:
        raise UserError(f"{given}: no PNG, JPEG or TIFF picture in this folder, or in those below it")
    return [found[inner] for inner in sorted(found, key=natural)]


def _open(name: str, path: Path, window: tuple[float, float] | None) -> Iterator[Opened]:
    if not _several(path):
        yield Opened(name, path, None, partial(image_io.read_image, path, window))
        return
    stack = Stack(path)
    digits = max(3, len(str(len(stack) - 1)))
    for index in range(len(stack)):
        yield Opened(f"{name}_{index:0{digits}}", path, index, partial(stack.__getitem__, index))


def _several(path: Path) -> bool:
    """Whether a file is a TIFF of more than one slice, be each a page, or all behind the first one's header."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            return len(tiff.pages) > 1 or any(len(series) > 1 for series in tiff.series)
    except Exception:  # tifffile lets struct, key, index and its own errors through
        return False  # what is wrong with it is told when it is read as a picture
