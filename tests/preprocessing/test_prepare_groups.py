"""Prepare: images that are alike, groups and the gap between ordered splits."""

import types
from dataclasses import replace

import numpy as np
import pytest
from fake_samples import Dataset, mask_of, preparing, read, sample
from promptseg import datasets
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.preprocessing.split_assignment import SPLITS

WITHOUT_VALIDATION = Dataset(min_foreground=None, val_fraction=0.0)


@pytest.fixture
def run(monkeypatch, tmp_path):
    return preparing(monkeypatch, tmp_path)


def test_near_duplicates_in_different_splits_are_named(run, capsys):
    samples = [sample(name, split, size=(64, 64)) for name, split in (("a", "train"), ("b", "train"), ("t", "test"))]
    smooth = np.kron(np.random.default_rng(3).integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    samples.append(replace(samples[2], id="copy", image=lambda: smooth + (smooth < 250)))
    samples.append(replace(samples[0], id="original", image=lambda: smooth))
    _, metrics = run(samples, WITHOUT_VALIDATION)
    assert "near_duplicates" not in metrics and capsys.readouterr().err == ""
    _, metrics = run(samples, WITHOUT_VALIDATION, duplicates=True)
    assert metrics["near_duplicates"] == 1
    assert capsys.readouterr().err.splitlines() == [
        "warning: fake: original (train) and copy (test) are near-duplicates",
        "warning: fake: scores on test will be too high",
    ]


def test_frames_of_a_clip_are_one_group_and_in_one_split(run, capsys):
    def frame(clip, number):
        rng = np.random.default_rng(clip)
        scene = np.kron(rng.integers(60, 190, (8, 8), np.uint8), np.ones((6, 6), np.uint8))
        return sample(f"c{clip}/{number}", group=f"{clip}{number}"), scene + rng.integers(0, 30, scene.shape, np.uint8)

    frames = [frame(clip, number) for clip in range(8) for number in "abc"]
    samples = [
        replace(given, image=lambda scene=scene: scene, mask=lambda: mask_of(5, side=48)) for given, scene in frames
    ]
    folder, metrics = run(samples, duplicates=True, CLIP_CORRELATION=0.9)
    found = {split: {(record.id.split("/")[0], record.group) for record in read(folder, split)} for split in SPLITS}
    assert set.union(*found.values()) == {(f"c{clip}", f"{clip}a") for clip in range(8)}
    assert sum(map(len, found.values())) == 8 and min(map(len, found.values())) > 0
    assert metrics["near_duplicates"] == 0
    assert capsys.readouterr().err == "note: fake: 24 groups are 8: images that are alike belong to one\n"


def test_stated_groups_are_used_as_they_are_and_one_group_is_an_error_that_says_so(run, monkeypatch, capsys):
    image = np.kron(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8), np.ones((6, 6), np.uint8))
    mask = mask_of(5, side=48)
    samples = [replace(sample(f"s{i}"), image=lambda: image, mask=lambda: mask) for i in range(8)]
    message = "^fake: no record with ground truth is left for test; all images are one group"
    with pytest.raises(UserError, match=message + "$"):
        run(samples, duplicates=True)
    options = types.SimpleNamespace(group=None)
    monkeypatch.setattr(datasets, "options", lambda *_: (options,))
    with pytest.raises(UserError, match=message + "; set datasets.fake.options.group$"):
        run(samples, duplicates=True)
    options.group = "(s.)"
    folder, metrics = run(samples, duplicates=True)
    assert {record.group for split in SPLITS for record in read(folder, split)} == {f"s{i}" for i in range(8)}
    assert metrics["near_duplicates"] > 1 and "set datasets.fake.options.group" in capsys.readouterr().err


def test_a_gap_between_ordered_splits_is_left_out_and_counted(run):
    samples = [sample(f"s{i}", "train", f"b{i // 2}") for i in range(8)] + [sample("t", "test")]
    folder, metrics = run(samples, ORDERED_GROUPS=True, GROUP_UNIT="block of 2")
    assert [record.group for record in read(folder)] == ["b0", "b0", "b1", "b1"]
    assert [record.group for record in read(folder, "val")] == ["b3", "b3"]
    assert metrics["dropped_gap"] == 2 and metrics["train"]["images"] == 4
    assert records.open_split(folder / "test.parquet").metadata["group_unit"] == "block of 2"
