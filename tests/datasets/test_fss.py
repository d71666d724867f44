"""FSS-1000: the reader on tiny files in the official layout with every known trap, the stand-in, the download."""

import os
from pathlib import Path

import numpy as np
import pytest
from fake_download import faked
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.fss import reader as fss
from promptseg.datasets.fss import sample as fss_sample
from refusing import refused

TINY = {"abe's_flyingfish": (1, 2, 10), "bus": (3, 5), "key": (1,)}  # file names' order is 1, 10, 2
SOFT = np.array([[0, 3, 126, 129, 252, 255]] * 8, np.uint8)


def build(root: Path, test_classes: bytes | None = b"bus\r\nabe's_flyingfish\r\nvilla_savoye") -> Path:
    """Write the classes of TINY below `root`, 6x8; the object is as many columns as the image's number, up to 4."""
    for name, numbers in TINY.items():
        for number in numbers:
            mask = np.zeros((6, 8), np.uint8)
            mask[:, : min(number, 4)] = 255
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(root / name / f"{number}.jpg")
            Image.fromarray(mask).save(root / name / f"{number}.png")
    if test_classes is not None:
        (root / fss.LIST).write_bytes(test_classes)
    return root


def find(folder: Path, id: str):
    return {sample.id: sample for sample in fss.read(folder)}[id]


@pytest.mark.parametrize("below", ["", "fewshot_data", "fewshot_data/fewshot_data"])
def test_layouts(tmp_path, below):
    build(tmp_path / below)
    datasets.verify(fss, tmp_path)
    samples = list(fss.read(tmp_path))
    assert [p.id for p in samples] == [f"{name}/{number}" for name, numbers in TINY.items() for number in numbers]
    assert [p.split for p in samples] == ["test"] * 5 + ["train"]
    assert [p.group for p in samples] == [p.id.split("/")[0] for p in samples]
    assert samples[0].text == "abe's flyingfish" and samples[0].file.name == "1.jpg"


def test_the_list_beside_the_folder_of_the_archive_or_none(tmp_path):
    build(tmp_path / "fewshot_data", None)
    datasets.verify(fss, tmp_path)
    assert {p.split for p in fss.read(tmp_path)} == {None}
    (tmp_path / fss.LIST).write_text("key\n")
    assert [p.split for p in fss.read(tmp_path)] == ["train"] * 5 + ["test"]


@pytest.mark.parametrize("text", [b"", b"\r\n", b"<html>\n", b"a/b\n", b"\xff\xfe\x00"])
def test_invalid_lists(tmp_path, text):
    refused(lambda: datasets.verify(fss, build(tmp_path, text)), tmp_path / fss.LIST, "remove it")


def test_no_class_to_train_on(tmp_path):
    refused(
        lambda: datasets.verify(fss, build(tmp_path, "\n".join(TINY).encode())),
        "classes that fss_test_set.txt does not name: no images",
    )
    assert {p.split for p in fss.read(tmp_path)} == {"test"}


@pytest.mark.parametrize(
    "array",
    [
        np.dstack([SOFT, SOFT, SOFT, np.full_like(SOFT, 255)]), np.dstack([SOFT] * 3),
        np.dstack([SOFT, SOFT, np.clip(SOFT, 12, 240)]), np.dstack([SOFT // 128] * 3),
        SOFT, SOFT // 128, (SOFT * 0.78).astype(np.uint8), SOFT > 127,
    ],
    ids=[
        "RGBA of 0..255 with soft edges", "RGB of 0..255",
        "RGB with channels that differ a little", "RGB of 0 and 1",
        "gray", "gray of 0 and 1", "gray up to 200", "one bit",
    ],
)  # fmt: skip
def test_encodings_of_masks(tmp_path, array, monkeypatch):
    monkeypatch.setattr(fss, "MAX_OUTLIERS", 0.5)  # two of the six columns are edges here
    Image.fromarray(array).save(build(tmp_path) / "key/1.png")
    mask = find(tmp_path, "key/1").mask()
    assert mask.dtype == np.uint8 and mask.tolist() == [[0, 0, 0, 1, 1, 1]] * 8


@pytest.mark.parametrize(
    "array, words",
    [
        (np.tile(np.arange(0, 250, 10, dtype=np.uint8), (6, 1)), ("is gray", "download it again")),
        (np.full((6, 8, 3), (200, 90, 20), np.uint8), ("100% of it is colored", "download it again")),
        (np.dstack([np.full((6, 8), 255, np.uint8)] * 3 + [np.full((6, 8), 9, np.uint8)]), ("transparent",)),
    ],
)
def test_files_that_are_not_masks(tmp_path, array, words):
    Image.fromarray(array).save(build(tmp_path) / "key/1.png")
    refused(find(tmp_path, "key/1").mask, tmp_path / "key/1.png", *words)


@pytest.mark.parametrize(
    "source, target, words",
    [
        ("bus/5.jpg", "away", ("bus/5.jpg: not found, the image of 5.png",)),
        ("bus/5.png", "away", ("bus/5.png: not found, the mask of 5.jpg",)),
        ("bus/3.png", "bus/03.png", ("03.png", "rename it to 3.png")),
        ("bus", os.fsdecode(b"bus\xff"), ("\\udcff", "rename")),
    ],
)
def test_unpaired_files_and_unusual_names_are_refused(tmp_path, source, target, words):
    (build(tmp_path) / source).rename(tmp_path / target)
    refused(lambda: fss.read(tmp_path), tmp_path, *words)


def test_other_files_and_the_broken_pair_are_left_out(tmp_path):
    refused(lambda: datasets.verify(fss, tmp_path), tmp_path, "fewshot_data.zip")
    for folder in ("peregine_falcon", "__MACOSX", ".cache", "empty"):
        (build(tmp_path) / folder).mkdir()
    for number, size in ((7, (8, 6)), (8, (20, 10))):
        Image.new("RGB", (8, 6)).save(tmp_path / f"peregine_falcon/{number}.jpg")
        Image.new("L", size, 255).save(tmp_path / f"peregine_falcon/{number}.png")
    for stray in ("bus/1.jpeg", "bus/Thumbs.db", "bus/._3.png", "bus/photo.png", "__MACOSX/1.jpg"):
        (tmp_path / stray).write_bytes(b"stray")
    datasets.verify(fss, tmp_path)
    ids = [p.id for p in fss.read(tmp_path)]
    assert "peregine_falcon/7" in ids and "peregine_falcon/8" not in ids and len(ids) == 7


def test_the_support_image_is_another_image_of_the_class_and_contains_the_object(tmp_path):
    home = build(tmp_path) / "abe's_flyingfish"
    chosen = {}
    for number in TINY[home.name]:
        image, mask = find(tmp_path, f"{home.name}/{number}").support()
        chosen[number] = int(mask.sum()) // 6
        assert image.shape == (6, 8, 3)
    assert chosen == {1: 4, 2: 1, 10: 2}  # columns of the object, so of the images 10, 1 and 2
    assert find(tmp_path, "key/1").support is None
    for number in (1, 2):
        Image.new("L", (8, 6)).save(home / f"{number}.png")
    for number in (1, 2):
        found = find(tmp_path, f"{home.name}/{number}")
        assert not found.mask().any() and found.support()[1].sum() == 24  # of number 10
    refused(find(tmp_path, f"{home.name}/10").support, "10.jpg", "as support image")
    Image.new("L", (3, 3), 255).save(home / "10.png")
    refused(find(tmp_path, f"{home.name}/1").support, "10.jpg", "3x3")


def test_stand_in_reads_as_the_official_data_and_is_not_solved_by_a_threshold(written_sample):
    """Neither one threshold for all images nor the best one for each, chosen by the ground truth."""
    stand_in = written_sample("fss")
    samples = list(fss.read(stand_in))
    groups = {split: {p.group for p in samples if p.split == split} for split in ("train", "test")}
    assert groups["test"] == set(fss_sample.TEST_CLASSES) and len(groups["train"]) == 10
    assert len(samples) == 16 * fss_sample.IMAGES_PER_CLASS
    for p in samples:
        assert p.image().shape == (224, 224, 3) and 0.005 < p.mask().mean() < 0.6, p.id
    assert {Image.open(path).mode for path in stand_in.rglob("*.png")} == {"RGBA", "RGB", "L"}
    counts = [histogram([p])[:2] for p in samples if p.split == "test"]
    assert best_iou(sum(counts), 1) < 0.25 and np.mean([best_iou(each, 1) for each in counts]) < 0.55


def test_download(tmp_path, monkeypatch):
    def unpack(archive, folder):
        build(folder / "fewshot_data", None)

    requested = faked(monkeypatch, unpack, fss_test_set=b"bus\r\nkey")
    monkeypatch.setattr(fss.http, "drive", lambda id: f"drive:{id}")
    fss.download(tmp_path)
    commit = "4157351078fc1c574101c38d75604e0d90dc02e0"
    listed = f"https://raw.githubusercontent.com/HKUSTCV/FSS-1000/{commit}/fss_test_set.txt"
    assert requested == [(listed, {"sha256": fss.LIST_SHA256}), ("drive:16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI", {})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fewshot_data", fss.LIST]
    datasets.verify(fss, tmp_path)
