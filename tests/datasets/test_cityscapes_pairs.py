"""Tests of the reader of Cityscapes as image pairs and of its sample."""

from pathlib import Path

import numpy as np
import pytest
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.cityscapes import reader as cityscapes
from promptseg.datasets.cityscapes.scene import STYLES, street_scene
from promptseg.datasets.cityscapes_pairs import reader as cityscapes_pairs
from promptseg.download import kaggle
from refusing import digest, refused

CLASS_OF = np.array([cityscapes.LABELS[id] for id in range(34)], np.uint8)
BELOW = ["", "cityscapes_data", "cityscapes_data/cityscapes_data"]


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=80)
    return path


def save_pair(path: Path, ids: np.ndarray, left: int = 90) -> Path:
    """Save a pair (256, 512, 3): a gray photo and the official colors of (256, 256) ids, black for other ids."""
    colors = np.zeros((256, 3), np.uint8)
    colors[list(cityscapes_pairs.COLORS)] = list(cityscapes_pairs.COLORS.values())
    return save(path, np.hstack([np.full((256, 256, 3), left, np.uint8), colors[ids]]))


def build(root: Path, train: int = 3, val: int = 2) -> Path:
    for split, number in (("train", train), ("val", val)):
        for n in range(1, number + 1):  # 5, 10, 15
            save_pair(root / split / f"{n * 5}.jpg", np.full((256, 256), 7), 50 + n)
    return root


@pytest.mark.parametrize("below", BELOW)
def test_folder_name_once_twice_or_not_at_all(tmp_path, below):
    build(tmp_path / below)
    if below == BELOW[2]:
        build(tmp_path / BELOW[1])  # the archive has the same files at both depths
    datasets.verify(cityscapes_pairs, tmp_path)
    samples = list(cityscapes_pairs.read(tmp_path))
    assert [sample.id for sample in samples] == ["train/5", "train/10", "train/15", "val/5", "val/10"]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["test"] * 2
    assert all(sample.group == sample.id and sample.file is None for sample in samples)
    image, mask = samples[0].image(), samples[0].mask()
    assert image.shape == (256, 256, 3) and image.flags.c_contiguous and abs(int(image.mean()) - 51) <= 1
    assert mask.shape == (256, 256) and mask.dtype == np.uint8 and (mask == 1).all()


def test_flat_colors_survive_the_jpeg_and_edges_are_ignored(tmp_path):
    known = [*cityscapes_pairs.COLORS, 0]
    ids = np.array((known * 3)[:64]).reshape(8, 8).repeat(32, 0).repeat(32, 1)
    mask = cityscapes_pairs._read_mask(save_pair(tmp_path / "1.jpg", ids)).reshape(8, 32, 8, 32)
    expected = CLASS_OF[ids].reshape(8, 32, 8, 32)
    assert (mask == expected)[:, 12:20, :, 12:20].all()
    assert 0.02 < ((mask == 255) & (expected != 255)).mean() < 0.04


def test_most_of_a_scene_survives_the_jpeg_and_a_photo_in_place_of_the_mask_is_refused(tmp_path):
    photo, ids = street_scene(np.random.default_rng(2), STYLES["suburb"])
    ids = ids[:, ::2]
    mask = cityscapes_pairs._read_mask(save_pair(tmp_path / "1.jpg", ids))
    expected = CLASS_OF[ids].astype(int)
    known = expected != 255
    assert np.mean(mask[known] == expected[known]) > 0.85
    assert np.mean((mask != expected) & (mask != 255) & known) < 0.05
    refused(lambda: cityscapes_pairs._read_mask(save(tmp_path / "1.jpg", photo)), "1.jpg", "color mask right")


@pytest.mark.parametrize(
    "pixels, words", [(np.zeros((256, 256, 3), np.uint8), "256x256"), (np.zeros((256, 512), np.uint8), "in gray")]
)
def test_other_and_truncated_images_are_refused_when_they_are_read(tmp_path, pixels, words):
    path = save(build(tmp_path) / "train/5.jpg", pixels)
    datasets.verify(cityscapes_pairs, tmp_path)
    sample = next(cityscapes_pairs.read(tmp_path))
    for call in (sample.mask, sample.image):
        refused(call, "train/5.jpg", "512x256", words)
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    refused(sample.image, "train/5.jpg", "fetch it again")


def test_missing_parts_and_stray_files(tmp_path):
    refused(lambda: cityscapes_pairs.read(tmp_path), tmp_path, "cityscapes_data")
    build(tmp_path, val=0)
    refused(lambda: datasets.verify(cityscapes_pairs, tmp_path), f"{tmp_path}: val: no images")
    build(tmp_path, val=1)
    for stray in ("val/._5.jpg", "val/Thumbs.db"):
        (tmp_path / stray).write_bytes(b"stray")
    datasets.verify(cityscapes_pairs, tmp_path)
    assert len(list(cityscapes_pairs.read(tmp_path))) == 4


def test_the_sample_is_verified_and_not_solved_by_a_threshold(written_sample):
    samples = list(cityscapes_pairs.read(written_sample("cityscapes_pairs")))
    assert [sample.split for sample in samples] == ["train"] * 32 + ["test"] * 20
    counts = histogram(samples[32:])
    for name in ("road", "building", "vegetation", "person", "car"):
        assert best_iou(counts, cityscapes.CLASSES.index(name) + 1) < 0.45


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
