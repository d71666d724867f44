"""Proof that `folder` needs no code: with options alone it reads what the readers of em and covid read, bit by bit."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from promptseg.core import params
from promptseg.datasets import Sample
from promptseg.datasets.covid import reader as covid
from promptseg.datasets.em import reader as em
from promptseg.datasets.folder import reader as folder

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))
EM = {
    "images": "{name}.tif", "masks": "{name}_groundtruth.tif", "stack": True, "block": 5,
    "splits": {"train": "^training", "test": "^testing"}, "classes": ["mitochondrion"],
}  # fmt: skip


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def alike(
    ours: Iterable[Sample],
    theirs: Iterable[Sample],
    marked: Callable[[np.ndarray], np.ndarray] = lambda mask: mask,
) -> int:
    """Assert that two readers give the same, in the same order; marked: what their mask is in ours."""
    ours, theirs = list(ours), list(theirs)
    assert [(p.id, p.split, p.group) for p in ours] == [(p.id, p.split, p.group) for p in theirs]
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one.image(), other.image())
        np.testing.assert_array_equal(one.mask(), marked(other.mask()))
    return len(ours)


def infection(mask: np.ndarray) -> np.ndarray:
    """What remains of covid's mask, which marks the lungs as well."""
    return (mask == 1).astype(np.uint8)


def as_covid(root: Path) -> folder.Options:
    below = next(path for path in sorted(root.rglob("Train"))).parent.relative_to(root).as_posix()
    home = "{split}/{kind}" if below == "." else below + "/{split}/{kind}"
    return options(images=home + "/images/*.png", masks=home + "/infection masks/*.png", classes=["infection"])


def test_reads_what_em_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(em, "SAMPLE_SLICES", 7)
    monkeypatch.setattr(em, "SAMPLE_SIDE", 128)
    em.sample(tmp_path, 0)
    assert alike(folder.read(tmp_path, options(**EM)), em.read(tmp_path)) == 14
    assert folder.classes(options(**EM)) == em.CLASSES


def test_reads_what_covid_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(covid, "SAMPLE", {"Train": (3, 2, 2), "Val": (1, 1, 0), "Test": (2, 1, 1)})
    covid.sample(tmp_path, 0)
    theirs = covid.read(tmp_path)
    assert alike(folder.read(tmp_path, as_covid(tmp_path)), theirs, infection) == 13


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with em and covid_qu_ex")
def test_reads_the_real_data_as_their_readers_do():
    assert alike(folder.read(REAL / "em", options(**EM)), em.read(REAL / "em")) == 30
    root = REAL / "covid_qu_ex"
    assert alike(folder.read(root, as_covid(root)), covid.read(root), infection) > 100
