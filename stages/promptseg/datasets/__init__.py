"""The datasets, one file each. `load("em")` gives its module; a new file in this folder is a new dataset.

A dataset's module has
    TITLE, LICENCE, CITATION   str
    ACCESS                     how the official files come: "automatic" (download does it), "login" (it does once an
                               account is set up, as it says), or "by hand"
    CLASSES                    tuple of str: what 1, 2, ... in its masks mean; 0 is background, 255 is ignored
    download(folder)           fetch the official files into `folder`, or raise UserError saying what to do by hand
    verify(folder)             raise UserError with the first thing that is missing or wrong, without decoding much
    read(folder)               yield a Sample for each pair, in a fixed order
    sample(folder, seed)       draw a small stand-in, in the official layout and file types, so that `read` reads it
and, where they apply,
    missing_login()            where ACCESS is "login": what to do before `download` gets in, "" where nothing is; it
                               asks no network, and of a login only whether it is there
    SPLIT_SIZES                     {split: pairs} of the whole official data
    ORDERED_GROUPS = True      groups lie in an order in which neighbours are alike (slices of a stack)
    Options                    params.Settings of its own, `datasets.<name>.options` in params.yaml; then it is
                               verify(folder, options) and read(folder, options), with options=Options() as default,
                               and, where they follow from them, classes(options) in place of CLASSES and
                               Options.ordered_groups in place of ORDERED_GROUPS
    CHECK_DUPLICATES = True    nobody knows whether its splits share pictures: preprocess looks and warns
    KIND = "cloud"             what it calls pictures are point clouds (clouds.py): each point is of one class
    IS_CLASSIFICATION = True               each of its masks is of one class throughout: the question is what the whole is
    CLASSES_BY_CATEGORY                      {text: classes}: which classes a row can show, by its text; it is asked for no others
It knows no model.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair, read only when asked for: deciding what to keep takes the masks alone.

    id: stable and readable, such as `training/007`; split: the source's own, None where it has none;
    group: what must not be split between training and test (stack, sequence, patient, city);
    image(): (h, w) or (h, w, 3) uint8; mask(): (h, w) uint8. Both raise UserError naming the file.
    text: what the mask shows, in words, where that differs from picture to picture (a phrase, a one-shot class);
    support(): another picture of the same class and its mask, as image() and mask() give them, for one-shot data;
    file: the file that image() decodes as it is; a JPEG that stays whole goes into the container byte by byte.
    """

    id: str
    split: Literal["train", "val", "test"] | None
    group: str
    image: Callable[[], np.ndarray]
    mask: Callable[[], np.ndarray]
    text: str = ""
    support: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    file: Path | None = None


def names() -> list[str]:
    """Every dataset that there is a file for."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def load(name: str) -> ModuleType:
    """The module of a dataset. Raises UserError if there is none of that name."""
    if name not in names():
        raise UserError(f"params.yaml: unknown dataset {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}.reader")


def options(name: str, settings: params.Dataset) -> tuple:
    """What comes after `folder` in calls of a reader: an entry's Options, or nothing. Raises UserError naming the key."""
    at = f"datasets.{name}.options"
    kind = getattr(load(settings.reader), "Options", None)
    if kind is not None:
        return (params.validate(kind, settings.options, "params.yaml", at),)
    if settings.options:
        raise UserError(f"params.yaml: {at}: the reader {settings.reader!r} has none")
    return ()


def kind(name: str, settings: params.Dataset) -> str:
    """What an entry's reader gives, "picture" or "cloud". Raises UserError for settings that clouds cannot follow."""
    of = getattr(load(settings.reader), "KIND", "picture")
    for key in ("classes", "resize", "tile"):
        if of != "picture" and getattr(settings, key) is not None:
            raise UserError(f"params.yaml: datasets.{name}.{key}: its pictures are {of}s, which stay whole; leave it out")
    return of


def classes(module: ModuleType, *options) -> tuple[str, ...]:
    """The names of what 1, 2, ... mean in the masks that a reader gives."""
    return module.classes(*options) if hasattr(module, "classes") else module.CLASSES


def ordered(module: ModuleType, *options) -> bool:
    """Whether groups lie in an order in which neighbours are alike."""
    return getattr(module, "ORDERED_GROUPS", False) or any(getattr(given, "ordered_groups", False) for given in options)
