"""Images from the command line: files, stacks slice by slice, and folders with all images below them."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.data.file_names import IMAGE_SUFFIXES, natural, walk
from promptseg.data.tiff_stack import Stack
from promptseg.prompts.command_line import numbers

Read = Callable[[], np.ndarray]
OpenStack = Callable[[Path], Stack]
_OPEN_STACKS = 8  # held open at a time


@dataclass(frozen=True)
class InputImage:
    """An image that is decoded when it is needed.

    Attributes:
        name: of its results: that of the file without its suffix, after its subfolders where it comes from a folder,
            with the number of a slice. Images that would share a name have their suffixes or folders in it.
        path: of its file.
        slice: index in a stack; None for a single image.
        read: returns (h, w) or (h, w, 3) uint8; raises UserError.
    """

    name: str
    path: Path
    slice: int | None
    read: Read


def open_images(paths: list[Path], window: tuple[float, float] | None, exclude: Path) -> list[InputImage]:
    """Open files and folders in the order given; folders in natural order of their file names.

    Args:
        paths: files and folders; a file that is given twice is opened once.
        window: values that become black and white in 16-bit and float images.
        exclude: folder of earlier results, which is skipped.

    Returns:
        Images of different names. An image that cannot be opened raises when it is read.

    Raises:
        UserError: a path does not exist, or a folder has no images.
    """
    files: dict[str, tuple[int, Path]] = {}
    for given in paths:
        for depth, path in _files(given, exclude):
            files.setdefault(os.path.abspath(path), (depth, path))
    open_stack = lru_cache(_OPEN_STACKS)(partial(Stack, window=window))
    opened = [_open(path, window, open_stack) for _, path in files.values()]
    candidates = [_candidates(path, depth) for depth, path in files.values()]
    names = _distinct(candidates, [[ending for ending, _, _ in inner] for inner in opened])
    return [
        InputImage(name + ending, path, index, read)
        for name, (_, path), inner in zip(names, files.values(), opened, strict=True)
        for ending, index, read in inner
    ]


def parse_window(text: str) -> tuple[float, float]:
    """Parse `0,4095`. Raises UserError unless the first number is smaller than the second."""
    low, high = numbers(text, 2, "--window")
    if low >= high:
        raise UserError(f"--window {text!r}: LOW,HIGH is expected, the value that is black and a larger one, white")
    return low, high


def _files(given: Path, exclude: Path) -> list[tuple[int, Path]]:
    """A file, or all images in and below a folder but hidden ones; how many last parts of each path name it."""
    if not given.exists():
        raise UserError(f"{given}: not found")
    if not given.is_dir():
        return [(1, given)]
    if given.resolve().is_relative_to(exclude.resolve()):
        raise UserError(f"{given}: the folder of the results, whose images are not read; give another --out")
    files = {}
    for inner in walk(given):
        path = given / inner
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            if not path.resolve().is_relative_to(exclude.resolve()):
                files[inner] = len(Path(inner).parts), path
    if not files:
        raise UserError(f"{given}: no PNG, JPEG or TIFF image in this folder or below it")
    return [files[inner] for inner in sorted(files, key=natural)]


def _candidates(path: Path, depth: int) -> list[str]:
    """Names of a file, the shortest first: without its suffix and with it, then with one more folder, and so on."""
    parts = Path(os.path.abspath(path)).parts[1:]
    tails = [Path(*parts[-count:]) for count in range(depth, len(parts) + 1)]
    return [each.as_posix() for tail in tails for each in (tail.with_suffix(""), tail)]


def _distinct(candidates: list[list[str]], endings: list[list[str]]) -> list[str]:
    """The first candidate of each file that gives none of its images the name of another image.

    Args:
        candidates: of each file.
        endings: of each file those that its images add to its name.
    """
    chosen = [0] * len(candidates)
    while True:
        names = [of_file[index] for of_file, index in zip(candidates, chosen, strict=True)]
        counts = Counter(name + ending for name, of_file in zip(names, endings, strict=True) for ending in of_file)
        shared = [
            number for number, name in enumerate(names)
            if any(counts[name + ending] > 1 for ending in endings[number])
            and chosen[number] + 1 < len(candidates[number])
        ]  # fmt: skip
        if not shared:
            return names
        for number in shared:
            chosen[number] += 1


def _open(path: Path, window: tuple[float, float] | None, open_stack: OpenStack) -> list[tuple[str, int | None, Read]]:
    """The image in a file, or the slices of a stack: what each adds to the file's name, its index, and its pixels."""
    if not image_io.is_tiff(path):
        return [("", None, partial(image_io.read_image, path, window))]
    try:
        count = len(open_stack(path))
        open_stack(path).check_window()
    except UserError as error:
        return [("", None, partial(_refuse, error))]
    if count == 1:
        return [("", None, partial(_slice, open_stack, path, 0))]
    digits = max(3, len(str(count - 1)))
    return [(f"_{index:0{digits}}", index, partial(_slice, open_stack, path, index)) for index in range(count)]


def _slice(open_stack: OpenStack, path: Path, index: int) -> np.ndarray:
    return open_stack(path)[index]


def _refuse(error: UserError) -> np.ndarray:
    raise error
