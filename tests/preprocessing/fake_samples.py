"""Samples and settings for tests of preprocessing, without a dataset."""

import json
import types
from collections import Counter
from dataclasses import replace
from typing import Literal

import numpy as np
from promptseg import datasets
from promptseg.core import params
from promptseg.data import records
from promptseg.datasets import Sample
from promptseg.preprocessing import prepare

REPORT = dict.fromkeys(
    ("images", "images_kept", "records", "records_empty", "dropped_unreadable", "dropped_empty", "dropped_small",
     "dropped_over_cap",
     "foreground", "min_height", "max_height", "min_width", "max_width"),
    0,
)  # fmt: skip


class Dataset(params.Dataset):
    """Settings of a dataset whose files do not exist."""

    raw: str = "raw"
    reader: str = "fake"
    border: Literal["shift", "cut", "drop"] = "shift"
    skip_invalid: bool = False


WHOLE = Dataset(min_foreground=None)


def sample(id, split=None, group=None, size=(24, 32), mask=None, reads=None):
    """A sample whose pixels depend on its id; `reads` counts how often image and mask are read."""
    size = size if mask is None else mask.shape
    rng = np.random.default_rng(list(id.encode()))
    pixels = rng.integers(0, 256, (*size, 3), np.uint8)
    target = rng.integers(0, 2, size).astype(np.uint8) if mask is None else mask
    reads = Counter() if reads is None else reads

    def read(kind, array):
        reads[kind, id] += 1
        return array

    return Sample(id, split, group or id, lambda: read("image", pixels), lambda: read("mask", target))


def in_few_colors(id, seed):
    """A sample that previews quickly: finding a palette for noise takes seconds."""
    colors = np.random.default_rng(seed).integers(0, 256, (2, 3, 3), np.uint8)
    return replace(sample(id, size=(40, 33)), image=lambda: np.kron(colors, np.ones((20, 11, 1), np.uint8)))


def dataset_of(samples, duplicates=False, **attributes):
    """A module of a dataset with these samples."""
    about = {"TITLE": "Made up", "LICENCE": "CC0", "CLASSES": ("thing",), "CHECK_DUPLICATES": duplicates}
    about |= {"verify": lambda *_: None, "read": lambda *_: iter(samples)}
    return types.SimpleNamespace(**(about | attributes))


def samples_of(count, group_of=str, split=None):
    """Small samples p000, p001, ...; group_of: from their numbers to their groups."""
    return [sample(f"p{i:03d}", split, group=group_of(i), size=(4, 4)) for i in range(count)]


def mask_of(foreground, ignored=0, side=10):
    """A square mask with so many pixels of class 1 and so many ignored ones."""
    mask = np.zeros(side * side, np.uint8)
    mask[:foreground], mask[side * side - ignored :] = 1, 255
    return mask.reshape(side, side)


def preparing(monkeypatch, tmp_path):
    """A function that prepares samples as if they were a dataset, and returns the folder and the metrics."""

    def run(samples, settings=WHOLE, max_images=None, name="out", **attributes):
        monkeypatch.setattr(datasets, "load", lambda _: dataset_of(samples, **attributes))
        paths = prepare.Paths(tmp_path / "raw", tmp_path / name, tmp_path / f"{name}.json")
        prepare.prepare("fake", settings, max_images, 5, paths)
        return paths.out, json.loads(paths.metrics.read_text())

    return run


def read(folder, split="train"):
    """The records of a split."""
    return list(records.open_split(folder / f"{split}.parquet"))
