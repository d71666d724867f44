"""What of a dataset's own files is wrong, all of it, before hours are spent on them: a line for each thing."""

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from promptseg import datasets
from promptseg.core import params, progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import Pool
from promptseg.data import image_io
from promptseg.data.image_io import IGNORED
from promptseg.datasets import Sample

RAW = Path("data/raw")
T = TypeVar("T")


def verify(dataset: str | None, folder: Path | None, official: bool) -> int:
    """Print what `inspect` finds in a dataset of params.yaml, or in each that is there; gives how much is wrong.

    folder: where its files are, if not in data/raw; official: its numbers must be those of the whole official data,
    as they must be anyhow where params.yaml says that the files were downloaded. Raises UserError where nothing is there.
    """
    settings = params.load()
    names = [dataset] if dataset else [name for name in settings.datasets if (RAW / name).is_dir()]
    if not names:
        raise UserError(f"{RAW}: no dataset is there yet; `dvc repro` brings them")
    wrong = 0
    for name in names:
        entry, place = settings.dataset(name), folder or RAW / name
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; `dvc repro download@{name}` fills {RAW / name}")
        downloaded = folder is None and (entry.source or settings.scale.data) == "official"
        wrong += _print(inspect(name, entry, place, official or downloaded))
    return wrong


def inspect(name: str, settings: params.Dataset, folder: Path, official: bool) -> Generator[str, None, int]:
    """A line for each thing that is wrong with the files in `folder`; notes and a summary last. Returns how many.

    Every picture and every mask is decoded, a few at a time; only ids and groups are kept. official: compare the
    numbers of pairs with those that the reader states, which hold for its default options. Raises UserError where
    settings are wrong.
    """
    module, options = datasets.load(settings.reader), datasets.options(name, settings)
    counts = getattr(module, "SPLIT_SIZES", {}) if official and not settings.options else {}
    seen, told = Seen(datasets.kind(name, settings)), set()
    for line in _wrong(name, module, options, folder, counts, seen):
        line = " ".join(line.split())
        if line not in told:  # many pairs may share a file
            told.add(line)
            yield f"{name}: {line}"
    if seen.empty:
        yield f"{name}: note: masks without any foreground: {seen.empty:,}"
    yield f"{name}: {seen.describe()}, {f'{len(told):,}' if told else 'nothing'} wrong"
    return len(told)


@dataclass
class Look:
    """One pair after it was decoded: what is wrong with it, and what is remembered of it."""

    id: str
    split: str | None
    group: str
    wrong: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None  # (width, height), where the picture decodes
    color: str = ""
    empty: bool = False


class Seen:
    """What is remembered of all pairs: ids and groups, and for the rest a few numbers."""

    def __init__(self, kind: str):
        self._kind = kind
        self.splits, self.empty = Counter(), 0
        self._ids, self._groups = set(), {}
        self._low, self._high, self._colors = (sys.maxsize, sys.maxsize), (0, 0), set()

    def add(self, look: Look) -> Iterator[str]:
        """Remember a pair; yields what is wrong with it beside those before."""
        self.splits[look.split] += 1
        self.empty += look.empty
        if look.id in self._ids:
            yield f"{look.id}: more than one pair has this id"
        self._ids.add(look.id)
        here = look.split or "no split"
        home = self._groups.setdefault(look.group, here)
        if home != here:
            yield f"{look.group}: this group stands in {home} and in {here}; what is alike must stay together"
        if look.size:
            self._low, self._high = tuple(map(min, self._low, look.size)), tuple(map(max, self._high, look.size))
            self._colors.add(look.color)

    def describe(self) -> str:
        """`330 pairs in 2 splits, 1024x768, gray 8-bit`; sizes are width x height, as least..most where they differ.

        Of clouds: `84 pairs in 2 splits, clouds of 2048 points`.
        """
        total, named = sum(self.splits.values()), len(self.splits.keys() - {None})
        words = [f"{total:,} pair{'' if total == 1 else 's'}"]
        if total:
            words[0] += f" in {named} split{'' if named == 1 else 's'}" if named else " without splits"
        if self._colors:
            sides = [f"{low}" if low == high else f"{low}..{high}" for low, high in zip(self._low, self._high)]
            if self._kind == "cloud":
                words.append(f"clouds of {sides[1]} points")
            else:
                words += ["x".join(sides), " and ".join(sorted(self._colors, reverse=True)) + " 8-bit"]
        return ", ".join(words)


def _wrong(
    name: str, module: ModuleType, options: tuple, folder: Path, counts: dict[str, int], seen: Seen
) -> Iterator[str]:
    stopped = []

    def pictures() -> Iterator[Sample]:
        try:
            yield from module.read(folder, *options)
        except UserError as problem:  # told after what was read before it
            stopped.append(str(problem))

    try:
        module.verify(folder, *options)
    except UserError as problem:
        yield str(problem)
    look = partial(_look, classes=len(datasets.classes(module, *options)))
    with Pool(Ranks().cores) as pool:
        looks = pool.in_order(look, pictures())
        for one in progress.bar(looks, desc=name, unit=" pairs"):
            yield from one.wrong
            yield from seen.add(one)
    yield from stopped
    if not stopped and seen.splits.keys() - {None}:
        for split, wanted in counts.items():
            if seen.splits[split] != wanted:
                yield f"{folder}: {seen.splits[split]:,} pairs in {split}, where {wanted:,} are official"


def _look(picture: Sample, classes: int) -> Look:
    look = Look(picture.id, picture.split, picture.group)
    image, mask = _tried(picture.image, look.wrong), _tried(picture.mask, look.wrong)
    if image is not None:
        look.size, look.color = image.shape[1::-1], "gray" if image.ndim == 2 else "color"
    if mask is not None:
        look.empty = not _values(mask)[1:IGNORED].any()
    look.wrong += _faults(image, mask, classes, picture.id)
    if picture.support is not None:
        image, mask = _tried(picture.support, look.wrong) or (None, None)
        look.wrong += _faults(image, mask, classes, f"{picture.id}, its support picture")
    return look


def _tried(read: Callable[[], T], wrong: list[str]) -> T | None:
    """What `read` gives, or None and a line more."""
    try:
        return read()
    except UserError as problem:
        wrong.append(str(problem))
        return None


def _faults(image: np.ndarray | None, mask: np.ndarray | None, classes: int, where: str) -> Iterator[str]:
    if image is not None and mask is not None:
        try:
            image_io.check_pair(image, mask, where)
        except UserError as problem:
            yield str(problem)
    if mask is not None:
        unknown = (np.flatnonzero(_values(mask)[classes + 1 : IGNORED]) + classes + 1).tolist()
        if unknown:
            count = sum(np.count_nonzero(mask == value) for value in unknown)
            values = ", ".join(map(str, unknown))
            yield f"{where}: the mask holds {values} at {count:,} pixels; classes are 1 to {classes}, 255 is ignored"


def _values(mask: np.ndarray) -> np.ndarray:
    """(256,) float32: more than 0 for each value that the mask holds."""
    return cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()


def _print(lines: Generator[str, None, int]) -> int:
    """Print lines above the progress bar; gives what the generator returns."""
    while True:
        try:
            tqdm.write(next(lines))
        except StopIteration as end:
            return end.value
