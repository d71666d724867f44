"""Tests of the QaTa-COV19 reader and of its sample."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.qata import reader as qata
from promptseg.datasets.qata import sample as qata_sample
from refusing import digest, refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "qata"
SUBJECT = "sub-S09340_ses-E17282_run-{}_bp-chest_vp-ap_dx"
TINY = {
    "Train Set": ["covid_10", "covid_9", SUBJECT.format(1), SUBJECT.format(2), "sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx"],
    "Test Set": ["covid_9", "sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx"],
}


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


@pytest.mark.parametrize(
    "below", ["", qata.VERSION, f"{qata.COLLECTION}/{qata.VERSION}", f"{qata.VERSION}/{qata.VERSION}"]
)
def test_layout_order_split_and_groups(tmp_path, below, capsys):
    build(tmp_path / below)
    (tmp_path / "QaTa-COV19-v1").mkdir()
    qata.verify(tmp_path)
    samples = list(qata.read(tmp_path))
    assert [(sample.id, sample.group) for sample in samples] == [
        ("train/covid_9", "train/covid_9"),
        ("train/covid_10", "train/covid_10"),
        ("train/sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx", "sub-S1"),
        (f"train/{SUBJECT.format(1)}", "sub-S09340"),
        (f"train/{SUBJECT.format(2)}", "sub-S09340"),
        ("test/covid_9", "test/covid_9"),
        ("test/sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx", "sub-S09341"),
    ]
    assert [sample.split for sample in samples] == ["train"] * 5 + ["test"] * 2
    assert capsys.readouterr() == ("", "")


def test_pixels(tmp_path):
    build(tmp_path)
    sample = list(qata.read(tmp_path))[1]
    image, mask = sample.image(), sample.mask()
    assert image.dtype == mask.dtype == np.uint8 and mask.tolist() == [[1] * 6, [0] * 6, [0] * 6, [0] * 6]
    assert (image[0] == 60).all() and sample.file == tmp_path / "Train Set/Images/covid_10.png"


def test_files_are_decoded_lazily(tmp_path):
    build(tmp_path)
    image, mask = tmp_path / "Train Set/Images/covid_9.png", tmp_path / "Train Set/Ground-truths/mask_covid_9.png"
    image.write_bytes(image.read_bytes()[:40])
    sample = next(iter(qata.read(tmp_path)))
    assert sample.mask().any()
    refused(sample.image, "Images/covid_9.png", "fetch it again")
    mask.write_bytes(b"")
    refused(sample.mask, "mask_covid_9.png")


def test_gray_masks_are_refused(tmp_path):
    build(tmp_path)
    Image.fromarray(np.full((4, 6), 128, np.uint8)).save(tmp_path / "Train Set/Ground-truths/mask_covid_9.png")
    refused(next(iter(qata.read(tmp_path))).mask, "mask_covid_9.png", "128 at 24 pixels", "0, 255")


def test_subjects_of_the_test_set_are_excluded_from_training(tmp_path, capsys):
    build(tmp_path)
    add(tmp_path, "Test Set", SUBJECT.format(3))
    qata.verify(tmp_path)
    assert "2 training images are left out" in capsys.readouterr().err
    splits = {}
    for sample in qata.read(tmp_path):
        splits.setdefault(sample.group, set()).add(sample.split)
    assert splits["sub-S09340"] == {"test"} and all(len(group_splits) == 1 for group_splits in splits.values())
    keep = qata.Options(subjects_in_both="keep")
    qata.verify(tmp_path, keep)
    assert len(list(qata.read(tmp_path, keep))) == 8 and capsys.readouterr().err == ""


@pytest.mark.parametrize("call", [qata.read, qata.verify])
def test_names_must_pair(tmp_path, call):
    build(tmp_path)
    (tmp_path / "Test Set/Ground-truths/mask_covid_9.png").unlink()
    refused(lambda: call(tmp_path), "Test Set/Ground-truths/mask_covid_9.png: not found", "restore")
    add(tmp_path, "Test Set", "covid_9")
    (tmp_path / "Test Set/Images/covid_9.png").unlink()
    refused(lambda: call(tmp_path), "mask_covid_9.png: its image", "Test Set/Images/covid_9.png is missing")
    add(tmp_path, "Test Set", "covid_9")
    (tmp_path / "Train Set/Ground-truths/stray.png").write_bytes(b"")
    refused(lambda: call(tmp_path), "stray.png: its image")


def test_missing_parts(tmp_path):
    refused(lambda: qata.read(tmp_path), str(tmp_path), qata.VERSION, "give the folder of the archive")
    refused(lambda: qata.verify(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "Train Set").mkdir()
    refused(lambda: qata.read(tmp_path), "Train Set/Images: not found")
    for part in ("Images", "Ground-truths"):
        (tmp_path / "Train Set" / part).mkdir()
    refused(lambda: qata.read(tmp_path), "no images in Images")


@pytest.mark.parametrize("home", qata.SPLITS)
def test_verify_requires_both_sets(tmp_path, home):
    build(tmp_path)
    (tmp_path / home).rename(tmp_path / "elsewhere")
    refused(lambda: qata.verify(tmp_path), f"{home}: no images")
    assert list(qata.read(tmp_path))


def test_stray_files_are_ignored_and_unprintable_names_refused(tmp_path):
    build(tmp_path)
    for stray in ("._covid_9.png", "Thumbs.db"):
        (tmp_path / "Train Set/Images" / stray).write_bytes(b"stray")
    qata.verify(tmp_path)
    (tmp_path / "Train Set/Images" / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(lambda: qata.read(tmp_path), "\\udcff", "rename")


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("qata")


def test_sample_is_read_back(sample_folder, capsys):
    qata.verify(sample_folder)
    assert capsys.readouterr().err == ""
    samples = list(qata.read(sample_folder))
    assert [sum(sample.split == split for sample in samples) for split in ("train", "test")] == list(
        qata_sample.COUNTS.values()
    )
    groups = {sample.group for sample in samples}
    assert len(groups) < len(samples), "some subjects have two images"
    assert not {sample.group for sample in samples if sample.split == "test"} & {
        sample.group for sample in samples if sample.split == "train"
    }
    for sample in samples:
        mask = sample.mask()
        assert sample.image().shape == mask.shape == (224, 224) and 0 < mask.mean() < 0.6


def best_threshold(samples) -> float:
    """Compute the pooled IoU of the best gray threshold, with the infection on its bright or its dark side."""
    counts = np.zeros((2, 256), int)
    for sample in samples:
        image, mask = sample.image(), sample.mask()
        for value in (0, 1):
            counts[value] += np.bincount(image[mask == value], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_sample_is_not_solved_by_a_threshold(sample_folder):
    assert best_threshold(sample for sample in qata.read(sample_folder) if sample.split == "test") < 0.3


def test_download_copies_version_2(tmp_path, monkeypatch):
    cache, requested = tmp_path / "cache", []
    build(cache / qata.COLLECTION / qata.VERSION)
    (cache / qata.COLLECTION / "QaTa-COV19-v1").mkdir()
    monkeypatch.setattr(qata.kaggle, "files", lambda slug, name: requested.append((slug, name)) or cache)
    refused(lambda: qata.download(tmp_path / "raw"), "5 images in Train Set instead of the official 7145")
    monkeypatch.setattr(qata, "OFFICIAL_COUNTS", {"train": 5, "test": 2})
    qata.download(tmp_path / "raw")
    assert requested == [("aysendegerli/qatacov19-dataset", "qata")] * 2
    assert digest(tmp_path / "raw" / qata.VERSION) == digest(cache / qata.COLLECTION / qata.VERSION)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [qata.VERSION]
    assert len(list(qata.read(tmp_path / "raw"))) == 7


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with qata")
def test_real_data():
    qata.verify(REAL)
    for sample in list(qata.read(REAL))[::50]:
        assert sample.image().shape == sample.mask().shape and sample.mask().any()
