"""Cellpose's _seg.npy: recognized to be refused, since opening a pickle runs what it holds."""

from collections.abc import Iterator
from pathlib import Path

from promptseg.annotations.shapes import Annotated
from promptseg.core.errors import UserError

NAME = "Cellpose's _seg.npy"
SUFFIXES = (".npy",)
INSTEAD = "in Cellpose choose File > Save masks as PNG/tif, and set options.masks to '{name}_cp_masks.png'"


def matches(path: Path) -> bool:
    """Whether a file has the name that Cellpose gives it."""
    return Path(path).name.lower().endswith("_seg.npy")


def read(path: Path) -> Iterator[Annotated]:
    """Raise UserError, which says what to save instead."""
    raise UserError(f"{path}: a pickle, which may run code and so is not read; {INSTEAD}")
