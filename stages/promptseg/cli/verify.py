"""`promptseg verify`: all errors in the files of a dataset, a line for each, before hours are spent on them."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from promptseg import datasets
from promptseg.cli.dataset_statistics import Decoded, Statistics
from promptseg.cli.raw_folders import RAW, download_name
from promptseg.core import progress, study
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.params import Dataset
from promptseg.core.study import Study
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import image_io
from promptseg.data.image_io import IGNORED
from promptseg.datasets import LeaveOut, Sample
from promptseg.download.archives import is_archive

T = TypeVar("T")
SHOWN = 10  # files left out that are named


def verify(dataset: str | None, folder: Path | None, official: bool) -> int:
    """Print the errors in the files of one dataset of params.yaml, or of all that are here.

    Args:
        dataset: name of the entry; None: all whose folder exists.
        folder: of the files; None: `datasets.<name>.raw`.
        official: expect the numbers of samples of the complete official data, as is done anyway for files that
            params.yaml says were downloaded.

    Returns:
        The number of errors.

    Raises:
        UserError: the dataset is unknown, or there are no files.
    """
    settings = study.load()
    if dataset is not None and dataset not in settings.datasets:
        raise UserError(f"params.yaml: unknown dataset {dataset!r}; known: {', '.join(settings.datasets)}")
    present = [name for name, entry in settings.datasets.items() if Path(entry.raw).is_dir()]
    names = present if dataset is None else [dataset]
    if not names:
        raise UserError(f"{RAW}: no dataset is here yet; `dvc repro` makes them")
    errors = 0
    for name in names:
        entry = settings.datasets[name]
        place = folder or Path(entry.raw)
        if place.is_file():
            what = "an archive; unpack it first, and give" if is_archive(place) else "a file; give"
            raise UserError(f"{place}: {what} the folder of the images and masks: promptseg verify {name} FOLDER")
        if not place.is_dir():
            raise UserError(f"{place}: no such folder; `dvc repro preprocess@{name}` downloads what is in {RAW}")
        downloaded = folder is None and _source(entry, settings) == "official"
        errors += _print(inspect(name, entry, place, official or downloaded))
    return errors


def inspect(name: str, settings: Dataset, folder: Path, official: bool) -> Generator[str, None, int]:
    """Decode every image and mask of a dataset, a few at a time.

    Args:
        name: of the entry.
        settings: the entry.
        folder: of the files.
        official: compare the numbers of samples with those that the reader states, which hold for its default options.

    Yields:
        A line for each error, then notes and a summary.

    Returns:
        The number of errors.

    Raises:
        UserError: the settings are wrong.
    """
    reader = Reader(datasets.load(settings.reader), datasets.options(name, settings), folder)
    sizes = getattr(reader.module, "SPLIT_SIZES", {}) if official and not settings.options else {}
    try:
        classes = datasets.classes(reader.module, *reader.options, folder=folder)
    except UserError:  # in the files that name them, which the reader's own `verify` reports
        classes = ()
    statistics, reported = Statistics(datasets.modality(name, settings), len(classes)), set()
    for line in _errors(name, reader, sizes, statistics, len(classes)):
        line = " ".join(line.split())
        if line not in reported:  # many samples may share a file
            reported.add(line)
            yield f"{name}: {line}"
    yield from (f"{name}: note: {note}" for note in [*statistics.notes(), *_left_out(reader)])
    yield f"{name}: {statistics.describe()}, {f'{len(reported):,}' if reported else 'nothing'} wrong"
    return len(reported)


@dataclass(frozen=True)
class Reader:
    """A reader with its options, on the files in a folder."""

    module: ModuleType
    options: tuple
    folder: Path


def _source(entry: Dataset, settings: Study) -> str | None:
    """Where the files of a dataset come from; None where they are the user's own."""
    name = download_name(entry.raw)
    return (settings.download[name].source or settings.scale.data) if name in settings.download else None


def _errors(name: str, reader: Reader, sizes: dict[str, int], statistics: Statistics, classes: int) -> Iterator[str]:
    """Yield all errors. sizes: number of samples of each split, where it is known; classes: their number."""
    ended_by = []

    def samples() -> Iterator[Sample]:
        try:
            yield from reader.module.read(reader.folder, *reader.options)
        except UserError as error:  # reported after the samples before it
            ended_by.append(str(error))

    try:
        datasets.verify(reader.module, reader.folder, *reader.options)
    except UserError as error:
        yield str(error)
    decode = partial(_decode, classes=classes)
    with ThreadPool(Ranks().cores) as pool:
        for decoded in progress.bar(pool.map_ordered(decode, samples()), desc=name, unit=" samples"):
            yield from decoded.errors
            yield from statistics.add(decoded)
    yield from ended_by
    if not ended_by and statistics.splits.keys() - {None}:
        for split, size in sizes.items():
            if statistics.splits[split] != size:
                yield f"{reader.folder}: {statistics.splits[split]:,} samples in {split}, where {size:,} are official"


def _left_out(reader: Reader) -> Iterator[str]:
    """Yield a note on files that are not read."""
    try:
        names = datasets.left_out(reader.module, reader.folder, *reader.options)
    except UserError:
        return  # an error that is reported already
    if names:
        named = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        yield f"files left out, without counterpart: {len(names):,}: {named}"


def _decode(sample: Sample, classes: int) -> Decoded:
    decoded = Decoded(sample.id, sample.split, sample.group)
    image = _try(sample.image, decoded.errors)
    try:
        mask = _try(sample.mask, decoded.errors)
    except LeaveOut:
        mask, decoded.left_out = None, True
    if image is not None:
        decoded.size, decoded.color = image.shape[1::-1], "gray" if image.ndim == 2 else "color"
    if mask is not None:
        pixels = _histogram(mask)
        decoded.valid, decoded.foreground = int(pixels[:IGNORED].sum()), int(pixels[1:IGNORED].sum())
    decoded.errors += _pixel_errors(image, mask, classes, sample.id, sample.names)
    if sample.support is not None:
        image, mask = _try(sample.support, decoded.errors) or (None, None)
        where = f"{sample.id}, its support image"
        decoded.errors += _pixel_errors(image, mask, classes, where, (where, "its mask"))
    return decoded


def _try(read: Callable[[], T], errors: list[str]) -> T | None:
    """The result of `read`, or None and one more error. Raises LeaveOut."""
    try:
        return read()
    except LeaveOut:
        raise
    except UserError as error:
        errors.append(str(error))
        return None


def _pixel_errors(
    image: np.ndarray | None, mask: np.ndarray | None, classes: int, where: str, names: tuple[Path | str, Path | str]
) -> Iterator[str]:
    if image is not None and mask is not None:
        try:
            image_io.check_same_size(image.shape, mask.shape, *names)
        except UserError as error:
            yield str(error)
    if mask is not None:
        unknown = (np.flatnonzero(_histogram(mask)[classes + 1 : IGNORED]) + classes + 1).tolist()
        if unknown:
            pixels = sum(np.count_nonzero(mask == value) for value in unknown)
            values = ", ".join(map(str, unknown))
            yield f"{where}: the mask holds {values} at {pixels:,} pixels; classes are 1 to {classes}, 255 is ignored"


def _histogram(mask: np.ndarray) -> np.ndarray:
    """(256,) float32: pixels of each value."""
    return cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()


def _print(lines: Generator[str, None, int]) -> int:
    """Print lines above the progress bar; returns what the generator returns."""
    while True:
        try:
            tqdm.write(next(lines))
        except StopIteration as end:
            return end.value
