"""The datasets, one file each. `load("em")` gives its module; a new file in this folder is a new dataset.

A dataset's module has
    TITLE, LICENCE, CITATION   str
    CLASSES                    tuple of str: what 1, 2, ... in its masks mean; 0 is background, 255 is ignored
    download(folder)           fetch the official files into `folder`, or raise Problem saying what to do by hand
    verify(folder)             raise Problem with the first thing that is missing or wrong
    read(folder)               yield a Picture for each pair, in a fixed order
    sample(folder, seed)       draw a small stand-in, in the official layout and file types, so that `read` reads it
and, where groups lie in an order in which neighbours are alike, ORDERED_GROUPS = True. It knows no model.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np

from promptseg.errors import Problem


@dataclass(frozen=True)
class Picture:
    """One pair, read only when asked for: deciding what to keep takes the masks alone.

    id: stable and readable, such as `training/007`; split: the source's own, None where it has none;
    group: what must not be split between training and test (stack, sequence, patient, city);
    image(): (h, w) or (h, w, 3) uint8; mask(): (h, w) uint8. Both raise Problem naming the file.
    """

    id: str
    split: Literal["train", "val", "test"] | None
    group: str
    image: Callable[[], np.ndarray]
    mask: Callable[[], np.ndarray]


def names() -> list[str]:
    """Every dataset that there is a file for."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of a dataset. Raises Problem if there is none of that name."""
    if name not in names():
        raise Problem(f"unknown dataset {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
