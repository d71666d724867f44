"""QaTa-COV19: the reader on tiny files in the true layout, subjects kept apart, the sample, the download."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.qata import reader as qata
from refusing import digest, refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "qata"
SUBJECT = "sub-S09340_ses-E17282_run-{}_bp-chest_vp-ap_dx"
TINY = {
    "Train Set": ["covid_10", "covid_9", SUBJECT.format(1), SUBJECT.format(2), "sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx"],
    "Test Set": ["covid_9", "sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx"],
}


def build(root: Path) -> Path:
    """The pictures of TINY below `root`, which stands where the two sets lie: 4x6, infected in one row."""
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


@pytest.mark.parametrize("below", ["", qata.PART, f"{qata.ABOVE}/{qata.PART}", f"{qata.PART}/{qata.PART}"])
def test_layout_order_split_and_groups(tmp_path, below, capsys):
    build(tmp_path / below)
    (tmp_path / "QaTa-COV19-v1").mkdir()
    qata.verify(tmp_path)
    pictures = list(qata.read(tmp_path))
    assert [(picture.id, picture.group) for picture in pictures] == [
        ("train/covid_9", "train/covid_9"),
        ("train/covid_10", "train/covid_10"),
        ("train/sub-S1_ses-E2_run-1_bp-chest_vp-pa_dx", "sub-S1"),
        (f"train/{SUBJECT.format(1)}", "sub-S09340"),
        (f"train/{SUBJECT.format(2)}", "sub-S09340"),
        ("test/covid_9", "test/covid_9"),
        ("test/sub-S09341_ses-E1_run-1_bp-chest_vp-ap_dx", "sub-S09341"),
    ]
    assert [picture.split for picture in pictures] == ["train"] * 5 + ["test"] * 2
    assert capsys.readouterr() == ("", "")


def test_pixels(tmp_path):
    build(tmp_path)
    picture = list(qata.read(tmp_path))[1]
    image, mask = picture.image(), picture.mask()
    assert image.dtype == mask.dtype == np.uint8 and mask.tolist() == [[1] * 6, [0] * 6, [0] * 6, [0] * 6]
    assert (image[0] == 60).all() and picture.file == tmp_path / "Train Set/Images/covid_10.png"


def test_only_what_is_asked_for_is_read(tmp_path):
    build(tmp_path)
    image, mask = tmp_path / "Train Set/Images/covid_9.png", tmp_path / "Train Set/Ground-truths/mask_covid_9.png"
    image.write_bytes(image.read_bytes()[:40])
    picture = next(iter(qata.read(tmp_path)))
    assert picture.mask().any()
    refused(picture.image, "Images/covid_9.png", "fetch it again")
    mask.write_bytes(b"")
    refused(picture.mask, "mask_covid_9.png")


def test_gray_masks_are_refused(tmp_path):
    build(tmp_path)
    Image.fromarray(np.full((4, 6), 128, np.uint8)).save(tmp_path / "Train Set/Ground-truths/mask_covid_9.png")
    refused(next(iter(qata.read(tmp_path))).mask, "mask_covid_9.png", "128 at 24 pixels", "0, 255")


def test_a_subject_who_is_tested_is_not_trained_on(tmp_path, capsys):
    build(tmp_path)
    add(tmp_path, "Test Set", SUBJECT.format(3))
    qata.verify(tmp_path)
    assert "2 pictures for training are left out" in capsys.readouterr().err
    splits = {}
    for picture in qata.read(tmp_path):
        splits.setdefault(picture.group, set()).add(picture.split)
    assert splits["sub-S09340"] == {"test"} and all(len(found) == 1 for found in splits.values())
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
    refused(lambda: call(tmp_path), "mask_covid_9.png: there is no picture", "Test Set/Images/covid_9.png")
    add(tmp_path, "Test Set", "covid_9")
    (tmp_path / "Train Set/Ground-truths/stray.png").write_bytes(b"")
    refused(lambda: call(tmp_path), "stray.png: there is no picture")


def test_missing_parts(tmp_path):
    refused(lambda: qata.read(tmp_path), str(tmp_path), qata.PART, "give the archive's folder")
    refused(lambda: qata.verify(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "Train Set").mkdir()
    refused(lambda: qata.read(tmp_path), "Train Set/Images: not found")
    for part in ("Images", "Ground-truths"):
        (tmp_path / "Train Set" / part).mkdir()
    refused(lambda: qata.read(tmp_path), "no pictures in Images")


@pytest.mark.parametrize("home", qata.SPLITS)
def test_verify_wants_both_sets(tmp_path, home):
    build(tmp_path)
    (tmp_path / home).rename(tmp_path / "elsewhere")
    refused(lambda: qata.verify(tmp_path), f"{home}: no pictures")
    assert list(qata.read(tmp_path))


def test_strays_are_accepted_and_unprintable_names_are_not(tmp_path):
    build(tmp_path)
    for stray in ("._covid_9.png", "Thumbs.db"):
        (tmp_path / "Train Set/Images" / stray).write_bytes(b"stray")
    qata.verify(tmp_path)
    (tmp_path / "Train Set/Images" / os.fsdecode(b"covid_\xff.png")).write_bytes(b"")
    refused(lambda: qata.read(tmp_path), "\\udcff", "rename")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    qata.sample(folder, 0)
    return folder


def test_sample_is_read_back(drawn, capsys):
    qata.verify(drawn)
    assert capsys.readouterr().err == ""
    pictures = list(qata.read(drawn))
    assert [sum(p.split == split for p in pictures) for split in ("train", "test")] == list(qata.SAMPLE.values())
    groups = {p.group for p in pictures}
    assert len(groups) < len(pictures), "some subjects were taken twice"
    assert not {p.group for p in pictures if p.split == "test"} & {p.group for p in pictures if p.split == "train"}
    for picture in pictures:
        mask = picture.mask()
        assert picture.image().shape == mask.shape == (224, 224) and 0 < mask.mean() < 0.6


def best_threshold(pictures) -> float:
    """The pooled IoU of the best single gray level, with the infection on its bright or on its dark side."""
    counts = np.zeros((2, 256), int)
    for picture in pictures:
        image, mask = picture.image(), picture.mask()
        for value in (0, 1):
            counts[value] += np.bincount(image[mask == value], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


def test_threshold_does_not_solve_the_sample(drawn):
    assert best_threshold(picture for picture in qata.read(drawn) if picture.split == "test") < 0.3


def test_download_copies_version_2(tmp_path, monkeypatch):
    cache, asked = tmp_path / "cache", []
    build(cache / qata.ABOVE / qata.PART)
    (cache / qata.ABOVE / "QaTa-COV19-v1").mkdir()
    monkeypatch.setattr(qata.kaggle, "files", lambda slug, name: asked.append((slug, name)) or cache)
    refused(lambda: qata.download(tmp_path / "raw"), "5 pictures in Train Set, where 7145 are official")
    monkeypatch.setattr(qata, "OFFICIAL", {"train": 5, "test": 2})
    qata.download(tmp_path / "raw")
    assert asked == [("aysendegerli/qatacov19-dataset", "qata")] * 2
    assert digest(tmp_path / "raw" / qata.PART) == digest(cache / qata.ABOVE / qata.PART)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [qata.PART]
    assert len(list(qata.read(tmp_path / "raw"))) == 7


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with qata")
def test_real_data():
    qata.verify(REAL)
    for picture in list(qata.read(REAL))[::50]:
        assert picture.image().shape == picture.mask().shape and picture.mask().any()
