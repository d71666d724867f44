"""Images from the command line: files, stacks slice by slice, and folders with all images below them."""

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
from promptseg.prompts.command_line import numbers

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True)
class InputImage:
    """An image that is decoded when it is needed.

    Attributes:
        name: of its results, with subfolders where it comes from a folder.
        path: of its file.
        slice: index in a stack; None for a single image.
        read: returns (h, w) or (h, w, 3) uint8; raises UserError.
    """

    name: str
    path: Path
    slice: int | None
    read: Callable[[], np.ndarray]


def open_images(paths: list[Path], window: tuple[float, float] | None, exclude: Path) -> Iterator[InputImage]:
    """Open files and folders in the order given; folders in natural order of their file names.

    Args:
        paths: files and folders.
        window: values that become black and white in 16-bit and float images.
        exclude: folder of earlier results, which is skipped.

    Raises:
        UserError: a path does not exist, a folder has no images, or two images have the same name.
    """
    opened: dict[str, Path] = {}
    for given in paths:
        for name, path in _files(given, exclude):
            for image in _open(name, path, window):
                if image.name in opened:
                    raise UserError(
                        f"{path}: its results would have the same name as those of {opened[image.name]}; segment them "
                        "one after the other, each with its own --out"
                    )
                opened[image.name] = path
                yield image


def parse_window(text: str) -> tuple[float, float]:
    """Parse `0,4095`. Raises UserError unless the first number is smaller than the second."""
    low, high = numbers(text, 2, "--window")
    if low >= high:
        raise UserError(f"--window {text!r}: LOW,HIGH is expected, the value that is black and a larger one, white")
    return low, high


def _files(given: Path, exclude: Path) -> list[tuple[str, Path]]:
    """Name and path of a file, or of all images in and below a folder, without hidden ones."""
    if not given.exists():
        raise UserError(f"{given}: not found")
    if not given.is_dir():
        return [(given.stem, given)]
    files = {}
    for path in given.rglob("*"):
        inner = path.relative_to(given)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            if not path.resolve().is_relative_to(exclude.resolve()):
                files[inner.as_posix()] = inner.with_suffix("").as_posix(), path
    if not files:
        raise UserError(f"{given}: no PNG, JPEG or TIFF image in this folder or below it")
    return [files[inner] for inner in sorted(files, key=natural)]


def _open(name: str, path: Path, window: tuple[float, float] | None) -> Iterator[InputImage]:
    if not _is_stack(path):
        yield InputImage(name, path, None, partial(image_io.read_image, path, window))
        return
    stack = Stack(path)
    digits = max(3, len(str(len(stack) - 1)))
    for index in range(len(stack)):
        yield InputImage(f"{name}_{index:0{digits}}", path, index, partial(stack.__getitem__, index))


def _is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several slices, as pages or contiguous behind the first header."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            return len(tiff.pages) > 1 or any(len(series) > 1 for series in tiff.series)
    except Exception:  # tifffile raises struct, key, index and its own errors
        return False  # reading it as an image reports the error
