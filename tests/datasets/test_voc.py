"""Pascal VOC 2012: the reader on tiny files in the official layout, and masks of all colors and encodings."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg import datasets
from promptseg.datasets.voc import reader as voc
from promptseg.datasets.voc.palette import palette
from refusing import refused

# By list, then image: the label of each row of the mask (6 rows of 8 pixels).
TINY = {
    "train": {
        "2007_000039": [0, 15, 15, 255, 7, 0],
        "2007_000032": [0, 1, 1, 255, 15, 0],
        "2008_000008": [0, 7, 7, 255, 0, 0],
    },
    "val": {
        "2007_000033": [0, 1, 1, 255, 0, 0],
        "2007_000042": [0, 1, 3, 255, 15, 0],
        "2009_000001": [0, 3, 3, 255, 1, 0],
        "2010_000001": [0, 15, 0, 255, 0, 0],
    },
}
IMAGE, MASK = "JPEGImages/2007_000032.jpg", "SegmentationClass/2007_000032.png"
LABELS = np.array([*range(21), 255, 0, 15], np.uint8).reshape(4, 6)
COLORS = palette()[LABELS]


def save_mask(path: Path, labels) -> None:
    labels = np.array(labels, np.uint8)
    image = Image.fromarray(labels if labels.ndim == 2 else np.repeat(labels[:, None], 8, 1))
    image.putpalette(palette().ravel().tolist())
    image.save(path)


def build(root: Path, lists: bool = True) -> Path:
    """Write the files of TINY below `root`, which corresponds to VOC2012, and an image of another task."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for part, rows in TINY.items():
        for name, labels in rows.items():
            gray = int(hashlib.sha256(name.encode()).hexdigest()[:2], 16)
            Image.new("RGB", (8, 6), (gray, gray, gray)).save(root / f"JPEGImages/{name}.jpg")
            save_mask(root / f"SegmentationClass/{name}.png", labels)
        if lists:
            (root / f"ImageSets/Segmentation/{part}.txt").write_text("".join(f"{name}\n" for name in rows))
    Image.new("RGB", (8, 6)).save(root / "JPEGImages/2012_004331.jpg")
    return root


def by_id(folder: Path, options=voc.Options()) -> dict:
    return {sample.id: sample for sample in voc.read(folder, options)}


def test_the_palette_is_the_official_one():
    known = {1: (128, 0, 0), 5: (128, 0, 128), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    known[255] = (224, 224, 192)
    assert {label: tuple(palette()[label].tolist()) for label in known} == known


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOC2012", "VOCdevkit/VOC2012"])
def test_layout_splits_and_order(tmp_path, below):
    build(tmp_path / below)
    datasets.verify(voc, tmp_path)
    samples = list(voc.read(tmp_path))
    assert [sample.id for sample in samples] == [name for rows in TINY.values() for name in sorted(rows)]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["test"] * 4
    assert all(sample.group == sample.id and sample.support is None for sample in samples)
    assert samples[0].file.name == "2007_000032.jpg"
    image, mask = samples[4].image(), samples[4].mask()
    assert image.shape == (6, 8, 3) and mask.shape == (6, 8) and image.dtype == mask.dtype == np.uint8
    assert mask[:, 0].tolist() == TINY["val"]["2007_000042"]
    assert len(voc.CLASSES) == 20 and voc.classes() == voc.CLASSES and voc.classes(voc.Options(fold=0)) == ("object",)


def test_without_lists_no_sample_has_a_split(tmp_path):
    build(tmp_path, lists=False)
    samples = list(voc.read(tmp_path))
    assert len(samples) == 7 and {sample.split for sample in samples} == {None}
    assert [sample.id for sample in samples] == sorted(sample.id for sample in samples)
    fold = voc.Options(fold=0)
    refused(lambda: datasets.verify(voc, tmp_path, fold), "ImageSets", "a fold needs train.txt and val.txt")
    (tmp_path / IMAGE).unlink()
    refused(lambda: voc.read(tmp_path), "2007_000032.jpg: not found")


def test_images_and_masks_are_paired_by_name(tmp_path):
    build(tmp_path)
    for unlisted in ("2011_000001.png", "._2007_000032.png"):
        (tmp_path / "SegmentationClass" / unlisted).write_bytes(b"")
    assert len(by_id(tmp_path)) == 7
    mask = tmp_path / "SegmentationClass/2007_000033.png"
    mask.unlink()
    refused(lambda: voc.read(tmp_path), mask, "not found, the mask of 2007_000033.jpg")
    (tmp_path / "JPEGImages/2007_000033.jpg").unlink()
    voc.read(tmp_path)  # neither file: a subset of the official data
    assert "2007_000033" not in by_id(tmp_path)
    (tmp_path / IMAGE).unlink()
    refused(lambda: voc.read(tmp_path), "2007_000032.jpg: not found, the image of 2007_000032.png")


def test_line_ends_of_lists_are_free(tmp_path):
    path = build(tmp_path) / "ImageSets/Segmentation/train.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"  \r\n") + b"\r\n")
    assert len(by_id(tmp_path)) == 7


@pytest.mark.parametrize(
    "train, words",
    [
        ("2007_000039\n2007_000033\n", ("val.txt, line 1", "2007_000033 is listed twice")),
        ("2007_000039\n../2007_000033\n", ("train.txt, line 2", "'../2007_000033' is not the name of an image")),
        ("2007_000039 1\n", ("train.txt, line 1", "'2007_000039 1'")),
        (None, ("only val.txt exists",)),
    ],
)
def test_invalid_lists_are_refused(tmp_path, train, words):
    path = build(tmp_path) / "ImageSets/Segmentation/train.txt"
    path.unlink() if train is None else path.write_text(train)
    refused(lambda: datasets.verify(voc, tmp_path), *words)


def test_missing_files(tmp_path):
    refused(lambda: voc.read(tmp_path), tmp_path, "VOCdevkit/VOC2012/SegmentationClass")
    (tmp_path / "SegmentationClass").mkdir()
    refused(lambda: datasets.verify(voc, tmp_path), "JPEGImages: not found")
    (tmp_path / "JPEGImages").mkdir()
    refused(lambda: datasets.verify(voc, tmp_path), "no image with a mask;")
    build(tmp_path)
    for name, text in (("train", "2011_000009\n"), ("val", "")):
        (tmp_path / f"ImageSets/Segmentation/{name}.txt").write_text(text)
    refused(lambda: datasets.verify(voc, tmp_path), "no listed image with a mask")
    (tmp_path / "SegmentationClass" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    refused(lambda: datasets.verify(voc, tmp_path), "\\udcff", "rename")


def test_damaged_and_missing_masks(tmp_path):
    mask, sample = build(tmp_path) / MASK, by_id(tmp_path)["2007_000032"]
    complete = mask.read_bytes()
    for content in (complete[: len(complete) // 2], complete[:30], b"", b"version https://git-lfs.github.com/spec/v1"):
        mask.write_bytes(content)
        refused(sample.mask, mask, "fetch it again")
    mask.unlink()
    refused(sample.mask, mask, "restore it")


def read_saved(path: Path, image: Image.Image, **options) -> np.ndarray:
    image.save(path, **options)
    return voc._read_mask(path)


def test_all_encodings_of_a_mask_give_the_same_labels(tmp_path):
    save_mask(tmp_path / "official.png", LABELS)
    assert (voc._read_mask(tmp_path / "official.png") == LABELS).all()
    colored = Image.fromarray(COLORS)
    renumbered = colored.quantize(64)  # as PNG optimizers do
    assert (np.array(renumbered.convert("RGB")) == COLORS).all() and (np.array(renumbered) != LABELS).any()
    for image in (colored, colored.convert("RGBA"), Image.fromarray(LABELS), renumbered):
        assert (read_saved(tmp_path / "mask.png", image) == LABELS).all()


@pytest.mark.parametrize(
    "pixels, encoding, words",
    [
        (np.where(np.arange(72).reshape(4, 6, 3) // 3 == 7, COLORS + 1, COLORS), "PNG", "not one of VOC's, at 1 pixel"),
        (np.full((4, 4), 21, np.uint8), "PNG", "the mask holds 21 at 16 pixels; its labels are 0, 1"),
        (COLORS, "JPEG", "a JPEG blurs the labels"),
        (np.full((4, 4), 300, np.uint16), "PNG", "8-bit label"),
    ],
    ids=["another color", "another label", "JPEG", "16 bit"],
)
def test_invalid_masks(tmp_path, pixels, encoding, words):
    path = tmp_path / "mask.png"
    refused(lambda: read_saved(path, Image.fromarray(pixels), format=encoding), "mask.png", words)
