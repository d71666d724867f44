"""Every reader and every entry in params.yaml with options, and their samples, decoded once."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from promptseg import datasets, studies
from promptseg.core import params, study
from promptseg.datasets import Sample

SETTINGS = study.load(studies.FOLDER / "published.yaml")
_DECODED: dict[str, list["Decoded"]] = {}


class Case(NamedTuple):
    """A reader without options, or with those of an entry in params.yaml."""

    name: str
    reader: str
    options: tuple = ()

    @property
    def module(self):
        return datasets.load(self.reader)

    @property
    def classes(self) -> tuple[str, ...]:
        return datasets.classes(self.module, *self.options)

    def verify(self, folder: Path) -> None:
        datasets.verify(self.module, folder, *self.options)

    def read(self, folder: Path) -> list[Sample]:
        return list(self.module.read(folder, *self.options))

    def entries(self) -> list[params.Dataset]:
        """The entries in params.yaml of its reader."""
        return [entry for entry in SETTINGS.datasets.values() if entry.reader == self.reader]


CASES = [Case(name, name) for name in datasets.names()]
CASES += [
    Case(name, entry.reader, datasets.options(name, entry))
    for name, entry in SETTINGS.datasets.items()
    if entry.options
]
DATASETS = pytest.mark.parametrize("name", datasets.names())
READS = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


class Decoded(NamedTuple):
    """A decoded sample: shape, type and digest of its image and its mask, and the labels of the mask."""

    sample: Sample
    image: tuple
    mask: tuple
    labels: frozenset[int]


def digest(array: np.ndarray) -> tuple:
    """Return shape, type and SHA-256 of an array."""
    return array.shape, str(array.dtype), hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def decode(sample: Sample) -> Decoded:
    mask = sample.mask()
    return Decoded(sample, digest(sample.image()), digest(mask), labels(mask))


def labels(mask: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(mask).tolist())


def metadata(sample: Sample) -> tuple:
    return sample.id, sample.split, sample.group, sample.text


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def decoded(case: Case, folder: Path) -> list[Decoded]:
    """Return all samples of the stand-in in a folder, each decoded once in a process."""
    if case.name not in _DECODED:
        _DECODED[case.name] = [decode(sample) for sample in case.read(folder)]
    return _DECODED[case.name]
