"""Tests of the Cityscapes reader and of its sample."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.cityscapes import reader as cityscapes
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "cityscapes"
STEMS = {
    "train": ["aachen_000000_000019", "aachen_000010_000019", "aachen_000002_000019", "hamburg_000000_000042"],
    "val": ["lindau_000000_000019"],
    "test": ["berlin_000000_000019"],
}
ORDER = [
    "train/aachen/aachen_000000_000019", "train/aachen/aachen_000002_000019", "train/aachen/aachen_000010_000019",
    "train/hamburg/hamburg_000000_000042", "val/lindau/lindau_000000_000019",
]  # fmt: skip


def build(root: Path, ids: np.ndarray | None = None) -> Path:
    """Write the images of STEMS, 6x34, below `root`; each row of a mask has every official id once; test is void."""
    ids = np.tile(np.arange(34, dtype=np.uint8), (6, 1)) if ids is None else ids
    for split, stems in STEMS.items():
        for number, stem in enumerate(stems):
            image, gt = (root / part / split / stem.split("_")[0] for part in ("leftImg8bit", "gtFine"))
            image.mkdir(parents=True, exist_ok=True)
            gt.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((*ids.shape, 3), 40 + number, np.uint8)).save(image / f"{stem}_leftImg8bit.png")
            Image.fromarray(ids * (split != "test")).save(gt / f"{stem}_gtFine_labelIds.png")
            Image.fromarray(ids.astype(np.uint16) * 1000).save(gt / f"{stem}_gtFine_instanceIds.png")
            Image.fromarray(np.zeros((*ids.shape, 4), np.uint8)).save(gt / f"{stem}_gtFine_color.png")
            (gt / f"{stem}_gtFine_polygons.json").write_text("{}")
    return root


def image_of(root: Path, city: str = "aachen", split: str = "train", sequence: int = 0) -> Path:
    return root / f"leftImg8bit/{split}/{city}/{city}_{sequence:06d}_000019_leftImg8bit.png"


def mask_of(root: Path, city: str = "aachen", split: str = "train", sequence: int = 0) -> Path:
    return root / f"gtFine/{split}/{city}/{city}_{sequence:06d}_000019_gtFine_labelIds.png"


def test_order_split_and_group(tmp_path):
    cityscapes.verify(build(tmp_path))
    samples = list(cityscapes.read(tmp_path))
    assert [sample.id for sample in samples] == ORDER
    assert [sample.split for sample in samples] == ["train"] * 4 + ["test"]
    assert [sample.group for sample in samples] == ["aachen"] * 3 + ["hamburg", "lindau"]
    assert samples[1].file == image_of(tmp_path, sequence=2)


def test_every_id_becomes_its_class(tmp_path):
    build(tmp_path)
    sample = next(iter(cityscapes.read(tmp_path)))
    assert sample.image().shape == (6, 34, 3) and (sample.image() == 40).all()
    assert sample.mask()[0].tolist() == [255] * 7 + list(range(1, 28))
    names = dict(zip(range(7, 34), cityscapes.CLASSES, strict=True))
    assert [names[i] for i in (7, 11, 21, 24, 26, 33)] == ["road", "building", "vegetation", "person", "car", "bicycle"]


def test_archives_unpacked_into_two_folders(tmp_path):
    build(tmp_path)
    for part in ("leftImg8bit", "gtFine"):
        shutil.move(tmp_path / part, tmp_path / f"{part}_trainvaltest" / part)
    assert [sample.id for sample in cityscapes.read(tmp_path)] == ORDER
    shutil.copytree(tmp_path / "gtFine_trainvaltest/gtFine", tmp_path / "gtFine")
    refused(lambda: cityscapes.read(tmp_path), "gtFine_trainvaltest", "keep only one")


def test_files_are_decoded_lazily(tmp_path):
    build(tmp_path)
    image_of(tmp_path).write_bytes(image_of(tmp_path).read_bytes()[:60])
    sample = next(iter(cityscapes.read(tmp_path)))
    assert sample.mask().any()
    refused(sample.image, "aachen_000000_000019_leftImg8bit.png", "fetch it again")


@pytest.mark.parametrize(
    "mask, words",
    [
        (np.full((6, 34), 34, np.uint8), ("34 at 204 pixels",)),
        (np.full((6, 34), 7000, np.uint16), ("8-bit label",)),
        (np.tile(np.uint8([128, 64, 128]), (6, 34, 1)), ("8-bit label", "RGB")),
    ],
)
def test_masks_without_label_ids_are_refused(tmp_path, mask, words):
    build(tmp_path)
    Image.fromarray(mask).save(mask_of(tmp_path))
    refused(next(iter(cityscapes.read(tmp_path))).mask, "aachen_000000_000019_gtFine_labelIds.png", *words)


@pytest.mark.parametrize("call", [cityscapes.read, cityscapes.verify])
def test_names_must_pair(tmp_path, call):
    build(tmp_path)
    mask_of(tmp_path).rename(tmp_path / "away.png")
    refused(lambda: call(tmp_path), str(image_of(tmp_path)), "aachen_000000_000019_gtFine_labelIds.png is missing")
    image_of(tmp_path).unlink()
    image_of(tmp_path, sequence=2).unlink()
    refused(lambda: call(tmp_path), str(mask_of(tmp_path, sequence=2)), "_leftImg8bit.png is missing")


def test_an_image_in_the_folder_of_another_city_is_refused(tmp_path):
    build(tmp_path)
    misplaced = image_of(tmp_path).with_name("bremen_000000_000019_leftImg8bit.png")
    image_of(tmp_path).rename(misplaced)
    refused(lambda: cityscapes.read(tmp_path), str(misplaced), "aachen_<sequence>_<frame>")


def test_a_city_in_two_splits_is_refused(tmp_path):
    build(tmp_path)
    for part in ("leftImg8bit", "gtFine"):
        shutil.copytree(tmp_path / part / "train/hamburg", tmp_path / part / "val/hamburg")
    refused(lambda: cityscapes.read(tmp_path), "hamburg", "leak")


def test_missing_parts(tmp_path):
    refused(lambda: cityscapes.verify(tmp_path / "nowhere"), "leftImg8bit", "leftImg8bit_trainvaltest.zip")
    (tmp_path / "leftImg8bit/train").mkdir(parents=True)
    refused(lambda: cityscapes.read(tmp_path), "`gtFine`", "gtFine_trainvaltest.zip")
    (tmp_path / "gtFine/train").mkdir(parents=True)
    refused(lambda: cityscapes.read(tmp_path), "no images")


@pytest.mark.parametrize("split", ["train", "val"])
def test_verify_requires_train_and_val(tmp_path, split):
    build(tmp_path)
    for part in ("leftImg8bit", "gtFine"):
        shutil.rmtree(tmp_path / part / split)
    refused(lambda: cityscapes.verify(tmp_path), f"leftImg8bit/{split}")
    assert list(cityscapes.read(tmp_path))


def test_a_subset_of_the_data_and_stray_files_are_accepted(tmp_path):
    build(tmp_path)
    for part in ("leftImg8bit", "gtFine"):
        shutil.rmtree(tmp_path / part / "train/hamburg")
        shutil.rmtree(tmp_path / part / "test")
        (tmp_path / part / "train/aachen/Thumbs.db").write_bytes(b"stray")
    image_of(tmp_path).with_name("._aachen_000000_000019_leftImg8bit.png").write_bytes(b"stray")
    cityscapes.verify(tmp_path)
    assert [sample.id for sample in cityscapes.read(tmp_path)] == ORDER[:3] + ORDER[4:]


@pytest.fixture(scope="module")
def sample_folder(written_sample) -> Path:
    return written_sample("cityscapes")


def test_sample_is_read_and_verified(sample_folder):
    cityscapes.verify(sample_folder)
    samples = list(cityscapes.read(sample_folder))
    assert [sum(sample.split == split for sample in samples) for split in ("train", "test")] == [28, 16]
    assert len({sample.group for sample in samples}) == 6
    counts = np.zeros(256, int)
    for sample in samples:
        image, mask = sample.image(), sample.mask()
        assert image.shape == (256, 512, 3) and mask.shape == (256, 512)
        counts += np.bincount(mask.ravel(), minlength=256)
    present = {cityscapes.CLASSES[i - 1] for i in np.flatnonzero(counts) if i != 255}
    assert {"road", "building", "vegetation", "person", "car", "sky", "sidewalk", "pole", "traffic sign"} <= present
    assert counts[255] and not counts[0]


def best_threshold(samples, name: str, classes=cityscapes.CLASSES) -> float:
    """Compute the pooled IoU of the best gray threshold, with the class on its bright or its dark side."""
    counts, number = np.zeros((2, 256), int), classes.index(name) + 1
    for sample in samples:
        gray, mask = cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY), sample.mask()
        for value, where in enumerate((mask != number, mask == number)):
            counts[value] += np.bincount(gray[where & (mask != 255)], minlength=256)
    assert counts[1].any(), f"no {name}"
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    return max((side[1] / (counts[1].sum() + side[0])).max() for side in sides)


@pytest.mark.parametrize("name", ["road", "building", "vegetation", "person", "car"])
def test_sample_is_not_solved_by_a_threshold(sample_folder, name):
    assert best_threshold([sample for sample in cityscapes.read(sample_folder) if sample.split == "test"], name) < 0.45


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with cityscapes")
def test_real_data():
    cityscapes.verify(REAL)
    samples = list(cityscapes.read(REAL))
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples[::97]:
        assert sample.image().shape == (1024, 2048, 3) and sample.mask().shape == (1024, 2048)
