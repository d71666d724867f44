"""Tests of the Cityscapes reader and of its sample."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.cityscapes import reader as cityscapes
from refusing import refused

STEMS = {
    "train": ["aachen_000000_000019", "aachen_000010_000019", "aachen_000002_000019", "hamburg_000000_000042"],
    "val": ["lindau_000000_000019"],
    "test": ["berlin_000000_000019"],
}
ORDER = [
    "train/aachen/aachen_000000_000019", "train/aachen/aachen_000002_000019", "train/aachen/aachen_000010_000019",
    "train/hamburg/hamburg_000000_000042", "val/lindau/lindau_000000_000019",
]  # fmt: skip
PARTS = ("leftImg8bit", "gtFine")
IMAGE = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
MASK = "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"


def build(root: Path) -> Path:
    """Write the images of STEMS, 6x34, below `root`; each row of a mask has every official id once; test is void."""
    ids = np.tile(np.arange(34, dtype=np.uint8), (6, 1))
    for split, stems in STEMS.items():
        for number, stem in enumerate(stems):
            image, gt = (root / part / split / stem.split("_")[0] for part in PARTS)
            for path, pixels in {
                image / f"{stem}_leftImg8bit.png": np.full((6, 34, 3), 40 + number, np.uint8),
                gt / f"{stem}_gtFine_labelIds.png": ids * (split != "test"),
                gt / f"{stem}_gtFine_instanceIds.png": ids.astype(np.uint16) * 1000,
            }.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root


def ids(folder: Path) -> list[str]:
    return [sample.id for sample in cityscapes.read(folder)]


def test_images_are_read_in_order_and_every_official_id_becomes_its_class(tmp_path):
    datasets.verify(cityscapes, build(tmp_path))
    samples = list(cityscapes.read(tmp_path))
    assert [sample.id for sample in samples] == ORDER
    assert [sample.split for sample in samples] == ["train"] * 4 + ["test"]
    assert [sample.group for sample in samples] == ["aachen"] * 3 + ["hamburg", "lindau"]
    assert samples[1].file == tmp_path / IMAGE.replace("000000", "000002")
    assert samples[0].image().shape == (6, 34, 3) and (samples[0].image() == 40).all()
    # trainId + 1 of each id in cityscapesscripts/helpers/labels.py, 255 where trainId is 255
    assert samples[0].mask()[0].tolist() == [
        *[255] * 7, 1, 2, 255, 255, 3, 4, 5, 255, 255, 255, 6, 255,
        7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 255, 255, 17, 18, 19,
    ]  # fmt: skip
    assert cityscapes.CLASSES == (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    )  # fmt: skip


def test_archives_unpacked_into_two_folders(tmp_path):
    build(tmp_path)
    for part in PARTS:
        shutil.move(tmp_path / part, tmp_path / f"{part}_trainvaltest" / part)
    assert ids(tmp_path) == ORDER
    shutil.copytree(tmp_path / "gtFine_trainvaltest/gtFine", tmp_path / "gtFine")
    refused(lambda: cityscapes.read(tmp_path), "gtFine_trainvaltest", "keep only one")


@pytest.mark.parametrize(
    "mask, words",
    [
        (np.full((6, 34), 34, np.uint8), ("34 at 204 pixels",)),
        (np.full((6, 34), 7000, np.uint16), ("8-bit label",)),
        (np.tile(np.uint8([128, 64, 128]), (6, 34, 1)), ("8-bit label", "RGB")),
    ],
)
def test_files_are_decoded_lazily_and_masks_without_label_ids_refused(tmp_path, mask, words):
    build(tmp_path)
    (tmp_path / IMAGE).write_bytes((tmp_path / IMAGE).read_bytes()[:60])
    sample = next(cityscapes.read(tmp_path))
    assert sample.mask().any()
    refused(sample.image, IMAGE, "fetch it again")
    Image.fromarray(mask).save(tmp_path / MASK)
    refused(sample.mask, MASK, *words)


@pytest.mark.parametrize(
    "source, target, words",
    [
        (MASK, "away.png", (IMAGE, "aachen_000000_000019_gtFine_labelIds.png is missing")),
        (IMAGE, "away.png", (MASK, "_leftImg8bit.png is missing")),
        (IMAGE, IMAGE.replace("/aachen_", "/bremen_"), ("bremen_000000_000019", "aachen_<sequence>_<frame>")),
        ("gtFine", "away", ("`gtFine`", "gtFine_trainvaltest.zip")),
        ("leftImg8bit", "away", ("`leftImg8bit`", "leftImg8bit_trainvaltest.zip")),
    ],
)
def test_unpaired_misplaced_and_missing_files_are_refused(tmp_path, source, target, words):
    (build(tmp_path) / source).rename(tmp_path / target)
    refused(lambda: datasets.verify(cityscapes, tmp_path), tmp_path, *words)


@pytest.mark.parametrize("split", ["train", "val"])
def test_verify_requires_train_and_val_and_that_they_share_no_city(tmp_path, split):
    build(tmp_path)
    for part in PARTS:
        shutil.copytree(tmp_path / part / "train/hamburg", tmp_path / part / "val/hamburg")
    refused(lambda: cityscapes.read(tmp_path), "hamburg", "leak")
    for part in PARTS:
        shutil.rmtree(tmp_path / part / split)
    refused(lambda: datasets.verify(cityscapes, tmp_path), f"leftImg8bit/{split}")
    assert ids(tmp_path)
    for part in PARTS:
        shutil.rmtree(tmp_path / part)
        (tmp_path / part / "train").mkdir(parents=True)
    refused(lambda: cityscapes.read(tmp_path), "no images")


def test_a_subset_of_the_data_and_stray_files_are_accepted(tmp_path):
    build(tmp_path)
    for part in PARTS:
        shutil.rmtree(tmp_path / part / "train/hamburg")
        shutil.rmtree(tmp_path / part / "test")
        (tmp_path / part / "train/aachen/Thumbs.db").write_bytes(b"stray")
    (tmp_path / IMAGE.replace("/aachen_", "/._aachen_")).write_bytes(b"stray")
    datasets.verify(cityscapes, tmp_path)
    assert ids(tmp_path) == ORDER[:3] + ORDER[4:]


def test_the_sample_has_most_classes_and_is_not_solved_by_a_threshold(written_sample):
    samples = list(cityscapes.read(written_sample("cityscapes")))
    test = [sample for sample in samples if sample.split == "test"]
    assert (len(samples), len(test)) == (40, 12)
    assert len({sample.group for sample in test}) == 6, "fewer than 5 have no interval"
    assert {(*s.image().shape, *s.mask().shape) for s in samples} == {(256, 512, 3, 256, 512)}
    of_test = histogram(test)
    counts = of_test.sum(axis=1) + histogram(sample for sample in samples if sample.split == "train").sum(axis=1)
    present = {name for i, name in enumerate(cityscapes.CLASSES, 1) if counts[i]}
    assert {"road", "building", "vegetation", "person", "car", "sky", "sidewalk", "pole", "traffic sign"} <= present
    assert counts[255] and not counts[0]
    for name in ("road", "building", "vegetation", "person", "car"):
        assert best_iou(of_test, cityscapes.CLASSES.index(name) + 1) < 0.45
