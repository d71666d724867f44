"""Samples of TIFF stacks, whose slices are images."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import tiff_stack
from promptseg.data.tiff_stack import Stack
from promptseg.datasets import Sample
from promptseg.datasets.folder import entries
from promptseg.datasets.folder.entries import Entry
from promptseg.datasets.folder.mask_reader import MaskReader

_OPEN_STACKS = 8  # held open at a time


def read_all(
    folder: Path, found: list[Entry], reader: MaskReader, block: int | None, window: tuple[float, float] | None
) -> Iterator[Sample]:
    """A sample for each slice of each stack, in order; none is decoded yet.

    Args:
        folder: of the user.
        found: image and mask stacks.
        reader: of all masks.
        block: slices in a group; None: a stack is one.
        window: values of black and white.

    Raises:
        UserError: at once, where a stack cannot be opened, or a mask is of another size.
    """
    open_stack = lru_cache(_OPEN_STACKS)(partial(Stack, window=window))
    stacks = [_page_samples(folder, entry, reader, block, open_stack) for entry in found]
    return (sample for samples in stacks for sample in samples)


def _page_samples(
    folder: Path, entry: Entry, masks: MaskReader, block: int | None, open_stack: Callable[[Path], Stack]
) -> list[Sample]:
    """Make a sample for each page of a stack. open_stack: caches open stacks, not pages."""
    image, mask = folder / entry.files.image, folder / entry.files.masks[0]
    if len(entry.files.masks) > 1:
        raise UserError(f"{folder / entry.files.masks[1]}: {mask} is another mask of {image}; a stack has one")
    tiff_stack.check_same_shape(open_stack(image), open_stack(mask))
    pages = [
        masks.add(partial(_read_labels, open_stack, mask, i), f"{mask}, slice {i}")
        for i in range(len(open_stack(image)))
    ]
    return [
        Sample(
            id=f"{entries.id_of(entry.files)}/{i:03d}",
            split=entry.split,
            group=f"{entry.group}/b{i // block:03d}" if block else entry.group,
            image=partial(_read_page, open_stack, image, i),
            mask=page,
            instances=page.instances,
        )
        for i, page in enumerate(pages)
    ]


def _read_page(open_stack: Callable[[Path], Stack], path: Path, index: int) -> np.ndarray:
    return open_stack(path)[index]


def _read_labels(open_stack: Callable[[Path], Stack], path: Path, index: int) -> np.ndarray:
    """The labels of a slice, as they are stored."""
    values = open_stack(path).values(index)
    if values.dtype.kind == "f":
        raise UserError(f"{path}: slice {index}: the labels of a stack are integers; these are {values.dtype}")
    return values
