"""Tests of the reader of Cityscapes as image pairs and of its sample."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.cityscapes import reader as cityscapes
from promptseg.datasets.cityscapes.scene import STYLES, street_scene
from promptseg.datasets.cityscapes_pairs import reader as cityscapes_pairs
from promptseg.download import kaggle
from refusing import digest, refused
from test_cityscapes import best_threshold

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "cityscapes_pairs"
BELOW = ["", "cityscapes_data", "cityscapes_data/cityscapes_data"]


def pair(ids: np.ndarray, left: int = 90) -> np.ndarray:
    """Build a pair (256, 512, 3): a gray photo and the official colors of (256, 256) ids, black for other ids."""
    colors = np.zeros((256, 3), np.uint8)
    colors[list(cityscapes_pairs.COLORS)] = list(cityscapes_pairs.COLORS.values())
    return np.hstack([np.full((256, 256, 3), left, np.uint8), colors[ids]])


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=80, **options)
    return path


def build(root: Path, train: int = 3, val: int = 2) -> Path:
    ids = np.full((256, 256), 7)
    for split, number in (("train", train), ("val", val)):
        for n in range(1, number + 1):
            save(root / split / f"{n * 5}.jpg", pair(ids, 50 + n))  # 5, 10, 15
    return root


@pytest.mark.parametrize("below", BELOW)
def test_folder_name_once_twice_or_not_at_all(tmp_path, below):
    build(tmp_path / below)
    cityscapes_pairs.verify(tmp_path)
    samples = list(cityscapes_pairs.read(tmp_path))
    assert [sample.id for sample in samples] == ["train/5", "train/10", "train/15", "val/5", "val/10"]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["test"] * 2
    assert all(sample.group == sample.id and sample.file is None for sample in samples)


def test_the_same_files_at_both_depths_are_read_once(tmp_path):
    for below in BELOW[1:]:
        build(tmp_path / below)
    assert len(list(cityscapes_pairs.read(tmp_path))) == 5


def test_halves(tmp_path):
    build(tmp_path)
    sample = next(iter(cityscapes_pairs.read(tmp_path)))
    image, mask = sample.image(), sample.mask()
    assert image.shape == (256, 256, 3) and image.flags.c_contiguous and abs(int(image.mean()) - 51) <= 1
    assert mask.shape == (256, 256) and mask.dtype == np.uint8 and (mask == 1).all()


def test_flat_colors_survive_the_jpeg_and_edges_are_ignored(tmp_path):
    known = [*cityscapes_pairs.COLORS, 0]
    ids = np.array((known * 3)[:64]).reshape(8, 8).repeat(32, 0).repeat(32, 1)
    path = save(tmp_path / "train/1.jpg", pair(ids))
    mask = cityscapes_pairs._read_mask(path).reshape(8, 32, 8, 32)
    expected = np.where(ids < 7, 255, ids - 6).reshape(8, 32, 8, 32)
    assert (mask == expected)[:, 12:20, :, 12:20].all()
    assert (mask == 255).mean() < 0.3 and (mask != expected).any()


def test_most_of_a_generated_scene_survives_the_jpeg(tmp_path):
    _, ids = street_scene(np.random.default_rng(2), STYLES["suburb"])
    ids = ids[:, ::2]
    mask = cityscapes_pairs._read_mask(save(tmp_path / "1.jpg", pair(ids)))
    expected = np.where(ids < 7, 255, ids.astype(int) - 6)
    known = expected != 255
    assert np.mean(mask[known] == expected[known]) > 0.85
    assert np.mean((mask != expected) & (mask != 255) & known) < 0.05


def test_a_photo_in_place_of_the_mask_is_refused(tmp_path):
    photo, _ = street_scene(np.random.default_rng(2), STYLES["old town"])
    build(tmp_path)
    save(tmp_path / "train/5.jpg", photo)
    refused(next(iter(cityscapes_pairs.read(tmp_path))).mask, "train/5.jpg", "color mask right")


@pytest.mark.parametrize(
    "array, words", [(np.zeros((256, 256, 3), np.uint8), "256x256"), (np.zeros((256, 512), np.uint8), "in gray")]
)
def test_other_images_are_refused(tmp_path, array, words):
    build(tmp_path)
    save(tmp_path / "train/5.jpg", array)
    sample = next(iter(cityscapes_pairs.read(tmp_path)))
    refused(sample.mask, "train/5.jpg", "512x256", words)
    refused(sample.image, "train/5.jpg", words)


def test_a_truncated_file_is_named_when_it_is_read(tmp_path):
    build(tmp_path)
    path = tmp_path / "train/5.jpg"
    path.write_bytes(path.read_bytes()[:900])
    cityscapes_pairs.verify(tmp_path)
    refused(next(iter(cityscapes_pairs.read(tmp_path))).image, "train/5.jpg", "fetch it again")


def test_missing_parts_and_stray_files(tmp_path):
    refused(lambda: cityscapes_pairs.read(tmp_path), str(tmp_path), "cityscapes_data")
    build(tmp_path, val=0)
    refused(lambda: cityscapes_pairs.verify(tmp_path), "`val`")
    build(tmp_path, val=1)
    (tmp_path / "val/._5.jpg").write_bytes(b"stray")
    (tmp_path / "val/Thumbs.db").write_bytes(b"stray")
    cityscapes_pairs.verify(tmp_path)
    assert len(list(cityscapes_pairs.read(tmp_path))) == 4


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("cityscapes_pairs")


def test_sample_is_read_and_verified(sample_folder):
    cityscapes_pairs.verify(sample_folder)
    samples = list(cityscapes_pairs.read(sample_folder))
    assert [sum(sample.split == split for sample in samples) for split in ("train", "test")] == [32, 20]
    test = [sample for sample in samples if sample.split == "test"]
    for name in ("road", "building", "vegetation", "person", "car"):
        assert best_threshold(test, name) < 0.45


def test_download(tmp_path, monkeypatch):
    requested, cache = [], build(tmp_path / "cache/cityscapes_data/cityscapes_data")
    monkeypatch.setattr(kaggle, "files", lambda *names: requested.append(names) or tmp_path / "cache")
    (tmp_path / "raw").mkdir()
    refused(lambda: cityscapes_pairs.download(tmp_path / "raw"), "3 images in train instead of the official 2975")
    monkeypatch.setattr(cityscapes_pairs, "SPLIT_SIZES", {"train": 3, "test": 2})
    cityscapes_pairs.download(tmp_path / "raw")
    assert requested == [("dansbecker/cityscapes-image-pairs", "cityscapes_pairs")] * 2
    assert digest(tmp_path / "raw") == {f"cityscapes_data/{name}": value for name, value in digest(cache).items()}


def test_colors_and_classes_are_those_of_cityscapes():
    assert cityscapes_pairs.CLASSES is cityscapes.CLASSES
    assert set(cityscapes_pairs.COLORS) == set(range(7, 34)) - {18}
    assert len({*cityscapes_pairs.COLORS.values(), *cityscapes_pairs.VOID_COLORS}) == len(cityscapes_pairs.COLORS) + 3


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with cityscapes_pairs")
def test_real_data():
    cityscapes_pairs.verify(REAL)
    for sample in list(cityscapes_pairs.read(REAL))[::50]:
        assert sample.image().shape == (256, 256, 3)
        assert np.mean(sample.mask() != 255) > 0.6
