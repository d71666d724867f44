"""Tests of the QaTa-COV19 reader and of its sample."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg.datasets.qata import reader as qata
from promptseg.datasets.qata import sample as qata_sample
from refusing import digest, refused

SUBJECT = "sub-S09340_ses-E17282_run-{}_bp-chest_vp-ap_dx"
TINY = {
    "Train Set": ["covid_10", "covid_9", SUBJECT.format(1), SUBJECT.format(2), "sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx"],
    "Test Set": ["covid_9", "sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx"],
}
HOMES = ("", qata.VERSION, f"{qata.COLLECTION}/{qata.VERSION}", f"{qata.VERSION}/{qata.VERSION}")
CALLS = pytest.mark.parametrize("call", [qata.read, qata.verify])


def build(root: Path) -> Path:
    """Write the images of TINY, 4x6, with one infected row, below `root`, which is to hold the two sets."""
    for home, names in TINY.items():
        for number, name in enumerate(names):
            add(root, home, name, number)
    return root


def add(root: Path, home: str, name: str, number: int = 0) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[number % 4] = 255
    for part, file, array in (("Images", name, mask // 5 + 9), ("Ground-truths", f"mask_{name}", mask)):
        (root / home / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(root / home / part / f"{file}.png")


@pytest.fixture
def raw(tmp_path) -> Path:
    return build(tmp_path / "raw")


@pytest.fixture(scope="module")
def sample(written_sample) -> Path:
    return written_sample("qata")


@pytest.mark.parametrize("below", HOMES)
def test_layout_order_split_and_groups(tmp_path, below, capsys):
    build(tmp_path / below)
    (tmp_path / "QaTa-COV19-v1").mkdir()
    qata.verify(tmp_path)
    samples = list(qata.read(tmp_path))
    assert [(item.id, item.group) for item in samples] == [
        ("train/covid_9", "train/covid_9"),
        ("train/covid_10", "train/covid_10"),
        ("train/sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx", "sub-S1"),
        (f"train/{SUBJECT.format(1)}", "sub-S09340"),
        (f"train/{SUBJECT.format(2)}", "sub-S09340"),
        ("test/covid_9", "test/covid_9"),
        ("test/sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx", "sub-S09341"),
    ]
    assert [item.split for item in samples] == ["train"] * 5 + ["test"] * 2
    assert capsys.readouterr() == ("", "")


def test_files_are_decoded_lazily_and_their_values_checked(raw):
    image, mask = raw / "Train Set/Images/covid_9.png", raw / "Train Set/Ground-truths/mask_covid_9.png"
    first, second, *_ = qata.read(raw)
    assert second.image().tolist() == [[60] * 6, [9] * 6, [9] * 6, [9] * 6] and second.image().dtype == np.uint8
    assert second.mask().tolist() == [[1] * 6, [0] * 6, [0] * 6, [0] * 6] and second.mask().dtype == np.uint8
    assert second.file == raw / "Train Set/Images/covid_10.png"
    image.write_bytes(image.read_bytes()[:40])
    assert first.mask().any()
    refused(first.image, "Images/covid_9.png", "fetch it again")
    Image.fromarray(np.full((4, 6), 128, np.uint8)).save(mask)
    refused(first.mask, "mask_covid_9.png", "128 at 24 pixels", "0, 255")
    mask.write_bytes(b"")
    refused(next(qata.read(raw)).mask, "mask_covid_9.png")


def test_subjects_of_the_test_set_are_excluded_from_training(raw, capsys):
    add(raw, "Test Set", SUBJECT.format(3))
    qata.verify(raw)
    assert "2 training images are left out" in capsys.readouterr().err
    found = [(item.group, item.split) for item in qata.read(raw)]
    assert len(found) == 6 and [split for group, split in found if group == "sub-S09340"] == ["test"]
    keep = qata.Options(subjects_in_both="keep")
    qata.verify(raw, keep)
    assert len(list(qata.read(raw, keep))) == 8 and capsys.readouterr().err == ""


@CALLS
def test_names_must_pair_and_be_printable(raw, call):
    mask, image = raw / "Test Set/Ground-truths/mask_covid_9.png", raw / "Test Set/Images/covid_9.png"
    mask.unlink()
    refused(partial(call, raw), f"{mask}: not found, the mask of covid_9.png", "restore")
    add(raw, "Test Set", "covid_9")
    image.unlink()
    refused(partial(call, raw), f"{image}: not found, the image of mask_covid_9.png")
    add(raw, "Test Set", "covid_9")
    stray = raw / "Train Set/Ground-truths/stray.png"
    stray.write_bytes(b"")
    refused(partial(call, raw), "Images/stray.png: not found, the image of Ground-truths/stray.png")
    stray.unlink()
    for name in ("._covid_9.png", "Thumbs.db"):
        (raw / "Train Set/Images" / name).write_bytes(b"stray")
    call(raw)
    (raw / "Train Set/Images" / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(partial(call, raw), "\\udcff", "rename")


@CALLS
def test_missing_folders_are_named(tmp_path, call):
    refused(partial(call, tmp_path), tmp_path, qata.VERSION, "give the folder of the archive")
    refused(partial(call, tmp_path / "nowhere"), "nowhere")
    (tmp_path / "Train Set").mkdir()
    refused(partial(call, tmp_path), "Train Set/Images: not found")
    for part in ("Images", "Ground-truths"):
        (tmp_path / "Train Set" / part).mkdir()
    refused(partial(call, tmp_path), "no images in Images")


@pytest.mark.parametrize("home", qata.SPLITS)
def test_verify_requires_both_sets(raw, home):
    (raw / home).rename(raw / "elsewhere")
    refused(partial(qata.verify, raw), f"{home}: no images")
    assert list(qata.read(raw))


def test_sample_is_read_back_and_not_solved_by_a_threshold(sample, capsys):
    qata.verify(sample)
    assert capsys.readouterr().err == ""
    samples = list(qata.read(sample))
    groups = {split: [item.group for item in samples if item.split == split] for split in ("train", "test")}
    assert [len(found) for found in groups.values()] == list(qata_sample.COUNTS.values())
    assert len({*groups["train"], *groups["test"]}) < len(samples), "some subjects have two images"
    assert not {*groups["train"]} & {*groups["test"]}
    for item in samples:
        mask = item.mask()
        assert item.image().shape == mask.shape == (224, 224) and 0 < mask.mean() < 0.6
    assert best_iou(histogram(item for item in samples if item.split == "test"), 1) < 0.3


def test_download_copies_version_2(tmp_path, monkeypatch):
    cache, raw, requested = tmp_path / "cache", tmp_path / "raw", []
    build(cache / qata.COLLECTION / qata.VERSION)
    (cache / qata.COLLECTION / "QaTa-COV19-v1").mkdir()
    monkeypatch.setattr(qata.kaggle, "files", lambda slug, name: requested.append((slug, name)) or cache)
    refused(partial(qata.download, raw), "5 images in Train Set instead of the official 7145")
    monkeypatch.setattr(qata, "OFFICIAL_COUNTS", {"train": 5, "test": 2})
    qata.download(raw)
    assert requested == [("aysendegerli/qatacov19-dataset", "qata")] * 2
    assert digest(raw / qata.VERSION) == digest(cache / qata.COLLECTION / qata.VERSION)
    assert [path.name for path in raw.iterdir()] == [qata.VERSION]
