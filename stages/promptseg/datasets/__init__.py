"""Datasets: one folder each, with a reader of the official files and a generator of a small stand-in.

To add a dataset, add a folder `datasets/<name>/` with an empty `__init__.py`, the two modules below and whatever only
they need, and an entry in params.yaml. No other file changes. tests/datasets/test_datasets.py runs over every folder.

reader.py defines
    TITLE, LICENCE, CITATION    str
    ACCESS                      how the official files are obtained: "automatic" (`download` fetches them), "login"
                                (`download` fetches them once an account is set up) or "by hand"
    CLASSES                     tuple of str, the names of the mask values 1, 2, ...; 0 is background, 255 is ignored
    download(folder)            fetch the official files into `folder`, or raise UserError saying what to do by hand
    read(folder)                yield a Sample for each image with its mask, in a fixed order; raises UserError at the
                                call for the first missing or wrong file, decoding as little as possible
and, where they apply,
    verify(folder)              further checks of the files, where `verify` below is not enough
    REQUIRED                    {split: where its images are}: without images of these splits `verify` refuses the files
    SPLIT_SIZES                 {split: number of samples} of the complete official data
    CONTAINED_IN                {inner: outer}: classes that lie inside others, as an infection lies in the lung; to
                                choose the outer class takes the inner one with it, unless that is chosen as well
    WORDS                       {class: words} for text prompts, where these are not the name with spaces for - and _
    GROUP_UNIT                  what a group is, such as "patient"; the default is "image"
    ORDERED_GROUPS = True       neighboring groups are alike (slices of a stack), so a validation split is cut off at
                                the end of the training groups instead of being selected at random, and one group
                                between the two is left out
    CHECK_DUPLICATES = True     it is not published which images are independent: preprocessing searches for
                                near-duplicates, makes one group of those within a split (unless the user states the
                                groups by an option `group`), and warns of others
    CLIP_CORRELATION            with CHECK_DUPLICATES, for data that may hold frames of one clip: images whose
                                thumbnails correlate by so much are one group; by default near_duplicates.ALIKE
    MODALITY = "point_cloud"    images are encoded point clouds (data/point_clouds.py), one class label per point;
                                the default is "image"
    IS_CLASSIFICATION = True    every mask holds a single class: the task is to classify the whole sample
    CLASSES_BY_CATEGORY         {text: classes}: the classes that a sample can contain, by its text; it is prompted for
                                these only
    left_out(folder)            names of files that `read` leaves out, which preprocessing and `promptseg verify` say
    missing_login()             for ACCESS "login": what the user has to do before `download` can work, "" if nothing;
                                makes no network request and only checks that credentials exist
    Options                     a subclass of params.Settings for `datasets.<name>.options` in params.yaml. The
                                signatures are then read(folder, options=Options()), verify alike
                                and, where they depend on the options, classes(options=Options()) instead of CLASSES
                                and properties of Options instead of CONTAINED_IN, GROUP_UNIT and ORDERED_GROUPS
                                (contained_in, group_unit, ordered_groups)
    classes_in(folder, options=Options())
                                like `classes`, for readers of files that name the classes themselves
It imports no drawing code, and its module docstring states the official layout and its traps.

sample.py defines
    write(folder, seed)         generate a small stand-in (below 8 MiB) in the official layout and file types, so that
                                `read` reads it; it contains every class, and the same seed gives the same bytes
Neither module knows any model.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError


class LeaveOut(UserError):
    """Raised by `Sample.mask` where the official files themselves are wrong: the sample is left out and counted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An image, its mask and their metadata; pixels are decoded only when `image` or `mask` is called.

    Attributes:
        id: stable and readable, such as `training/007`.
        split: the official split, `train`, `val` or `test`; None where the source has none.
        group: what must not be divided between splits (stack, sequence, patient, city).
        image: returns (h, w) or (h, w, 3) uint8; raises UserError naming the file.
        mask: returns (h, w) uint8; raises UserError naming the file, or LeaveOut.
        text: what the mask shows, in words, where it differs between samples (a phrase, a one-shot class).
        support: returns the support image of the same class and its mask, as `image` and `mask` do; one-shot data only.
        file: the file that `image` decodes unchanged, so that a JPEG can be stored without re-encoding.
        size: returns height and width of the image without decoding it, where `file` is None and that is possible.
        sources: what image and mask are read from, for messages; files, or pages of files.
        instances: returns (h, w) uint16, the number of the instance at each labelled pixel, or None where the source
            does not tell them apart after all; raises as `mask`.
    """

    id: str
    split: str | None
    group: str
    image: Callable[[], np.ndarray]
    mask: Callable[[], np.ndarray]
    text: str = ""
    support: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    file: Path | None = None
    size: Callable[[], tuple[int, int]] | None = None
    sources: tuple[Path | str, Path | str] | None = None
    instances: Callable[[], np.ndarray | None] | None = None

    @property
    def names(self) -> tuple[Path | str, Path | str]:
        """What to call the image and its mask in messages."""
        return self.sources or (f"the image of {self.id}", f"the mask of {self.id}")


def names() -> list[str]:
    """List the names of all datasets, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def load(name: str) -> ModuleType:
    """Import the reader module of a dataset.

    Args:
        name: one of `names()`.

    Returns:
        The module `promptseg.datasets.<name>.reader`.

    Raises:
        UserError: the dataset is unknown; the message lists the known names.
    """
    return _import(name, "reader")


def load_sample(name: str) -> ModuleType:
    """Import the module that generates the stand-in of a dataset.

    Args:
        name: one of `names()`.

    Returns:
        The module `promptseg.datasets.<name>.sample`.

    Raises:
        UserError: the dataset is unknown; the message lists the known names.
    """
    return _import(name, "sample")


def options(name: str, settings: params.Dataset) -> tuple:
    """Validate the reader options of an entry in params.yaml.

    Args:
        name: of the entry, for messages.
        settings: the entry.

    Returns:
        What follows `folder` in calls of the reader: (Options,), or () for a reader without options.

    Raises:
        UserError: an option is invalid, or the reader has none; the message names the key.
    """
    at = f"datasets.{name}.options"
    schema = getattr(load(settings.reader), "Options", None)
    if schema is not None:
        return (params.validate(schema, settings.options, "params.yaml", at),)
    if settings.options:
        raise UserError(f"params.yaml: {at}: the reader {settings.reader!r} takes no options; remove them")
    return ()


def modality(name: str, settings: params.Dataset) -> str:
    """Return the modality of an entry in params.yaml: "image" or "point_cloud".

    Args:
        name: of the entry, for messages.
        settings: the entry.

    Returns:
        MODALITY of the reader, "image" by default.

    Raises:
        UserError: the entry sets `classes`, `resize` or `tile`, which point clouds do not support.
    """
    of_reader = getattr(load(settings.reader), "MODALITY", "image")
    for key in ("classes", "resize", "tile"):
        if of_reader != "image" and getattr(settings, key) is not None:
            raise UserError(f"params.yaml: datasets.{name}.{key}: not supported for point clouds; remove it")
    return of_reader


def verify(module: ModuleType, folder: Path, *options) -> None:
    """Check that the files of a dataset are there; no pixels are decoded, unless the reader's own check does.

    Args:
        module: from `load`.
        folder: of the files.
        options: from the function `options`.

    Raises:
        UserError: naming the first missing or wrong file, or a required split without images.
    """
    if hasattr(module, "verify"):
        return module.verify(folder, *options)
    samples, required = module.read(folder, *options), getattr(module, "REQUIRED", {})
    present = {sample.split for sample in samples} if required else set()
    for split, part in required.items():
        if split not in present and present != {None}:
            raise UserError(f"{folder}: {part}: no images; copy some of this part of the official data as well")


def classes(module: ModuleType, *options, folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the mask values 1, 2, ... of a reader.

    Args:
        module: from `load`.
        options: from the function `options`.
        folder: of the files, for readers that learn the names from them.

    Raises:
        UserError: only the files tell the names, and they are not given, or damaged.
    """
    if folder is not None and hasattr(module, "classes_in"):
        return module.classes_in(folder, *options)
    return module.classes(*options) if hasattr(module, "classes") else module.CLASSES


def words(module: ModuleType, classes: Iterable[str]) -> list[str]:
    """Return the words for classes in a text prompt: the reader's, else the name with spaces in place of - and _.

    Args:
        module: from `load`.
        classes: names of the reader's classes, or those that a study gave to merged ones.
    """
    of_reader = getattr(module, "WORDS", {})
    return [of_reader.get(name, re.sub("[-_]+", " ", name).strip() or name) for name in classes]


def contained_in(module: ModuleType, *options) -> dict[str, str]:
    """Return {inner class: outer class} of a reader, for classes that lie inside others."""
    return _of_options("contained_in", options, getattr(module, "CONTAINED_IN", {}))


def group_unit(module: ModuleType, *options) -> str:
    """Return what a group of a reader is, such as "image" or "patient"."""
    return _of_options("group_unit", options, getattr(module, "GROUP_UNIT", "image"))


def ordered(module: ModuleType, *options) -> bool:
    """Return whether neighboring groups of a reader are alike, as blocks of slices of one stack are."""
    return _of_options("ordered_groups", options, getattr(module, "ORDERED_GROUPS", False))


def _of_options(name: str, options: tuple, default: Any) -> Any:
    """A property of the reader's options, or the default where they have none of this name."""
    return next((getattr(given, name) for given in options if hasattr(given, name)), default)


def left_out(module: ModuleType, folder: Path, *options) -> list[str]:
    """Return the names of the files in a folder that a reader leaves out.

    Args:
        module: from `load`.
        folder: of the files.
        options: from the function `options`.
    """
    return module.left_out(folder, *options) if hasattr(module, "left_out") else []


def _import(name: str, module: str) -> ModuleType:
    if name not in names():
        raise UserError(f"params.yaml: unknown dataset {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}.{module}")
