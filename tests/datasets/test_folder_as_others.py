"""The reader `folder`, by options alone, gives bit for bit what the readers of em and covid give."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from promptseg.core import params
from promptseg.datasets import Sample
from promptseg.datasets.covid import reader as covid
from promptseg.datasets.covid import sample as covid_sample
from promptseg.datasets.em import reader as em
from promptseg.datasets.em import sample as em_sample
from promptseg.datasets.folder import reader as folder

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent"))
EM = {
    "images": "{name}.tif", "masks": "{name}_groundtruth.tif", "stack": True, "block": 5,
    "splits": {"train": "^training", "test": "^testing"}, "classes": ["mitochondrion"],
}  # fmt: skip


def options(**given) -> folder.Options:
    return params.validate(folder.Options, given, "params.yaml", "datasets.mine.options")


def compare(
    actual: Iterable[Sample],
    expected: Iterable[Sample],
    convert: Callable[[np.ndarray], np.ndarray] = lambda mask: mask,
) -> int:
    """Assert that two readers agree, in the same order, after converting the expected masks; return the count."""
    actual, expected = list(actual), list(expected)
    assert [(p.id, p.split, p.group) for p in actual] == [(p.id, p.split, p.group) for p in expected]
    for ours, theirs in zip(actual, expected):
        np.testing.assert_array_equal(ours.image(), theirs.image())
        np.testing.assert_array_equal(ours.mask(), convert(theirs.mask()))
    return len(actual)


def infection(mask: np.ndarray) -> np.ndarray:
    """Remove the lungs from a mask of covid."""
    return (mask == 1).astype(np.uint8)


def covid_options(root: Path) -> folder.Options:
    below = next(path for path in sorted(root.rglob("Train"))).parent.relative_to(root).as_posix()
    home = "{split}/{kind}" if below == "." else below + "/{split}/{kind}"
    return options(images=home + "/images/*.png", masks=home + "/infection masks/*.png", classes=["infection"])


def test_reads_em(tmp_path, monkeypatch):
    monkeypatch.setattr(em_sample, "SLICES", 7)
    monkeypatch.setattr(em_sample, "SIDE", 128)
    em_sample.write(tmp_path, 0)
    assert compare(folder.read(tmp_path, options(**EM)), em.read(tmp_path)) == 14
    assert folder.classes(options(**EM)) == em.CLASSES


def test_reads_covid(tmp_path, monkeypatch):
    monkeypatch.setattr(covid_sample, "COUNTS", {"Train": (3, 2, 2), "Val": (1, 1, 0), "Test": (2, 1, 1)})
    covid_sample.write(tmp_path, 0)
    expected = covid.read(tmp_path)
    assert compare(folder.read(tmp_path, covid_options(tmp_path)), expected, infection) == 13


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with em and covid_qu_ex")
def test_reads_the_official_data():
    assert compare(folder.read(REAL / "em", options(**EM)), em.read(REAL / "em")) == 30
    root = REAL / "covid_qu_ex"
    assert compare(folder.read(root, covid_options(root)), covid.read(root), infection) > 100
