"""Pascal VOC 2012: the reader on tiny files in the official layout, and masks of all colors and encodings."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.data import image_io
from promptseg.datasets.voc import reader as voc
from promptseg.datasets.voc.palette import palette
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "voc2012"
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


def save_mask(path: Path, labels: np.ndarray) -> None:
    image = Image.fromarray(labels)
    image.putpalette(palette().ravel().tolist())
    image.save(path)


def build(root: Path, lists: bool = True) -> Path:
    """Write the files of TINY below `root`, which corresponds to VOC2012, and an image of another task."""
    images, masks, sets = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for folder in (images, masks, sets):
        folder.mkdir(parents=True, exist_ok=True)
    for part, rows in TINY.items():
        for name, labels in rows.items():
            gray = int(hashlib.sha256(name.encode()).hexdigest()[:2], 16)
            Image.new("RGB", (8, 6), (gray, gray, gray)).save(images / f"{name}.jpg")
            save_mask(masks / f"{name}.png", np.repeat(np.array(labels, np.uint8)[:, None], 8, 1))
        if lists:
            (sets / f"{part}.txt").write_text("".join(f"{name}\n" for name in rows))
    Image.new("RGB", (8, 6)).save(images / "2012_004331.jpg")
    return root


def by_id(folder: Path, options=voc.Options()) -> dict:
    return {sample.id: sample for sample in voc.read(folder, options)}


def test_the_palette_is_the_official_one():
    colors = palette()
    known = {
        1: (128, 0, 0),
        5: (128, 0, 128),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    for label, color in known.items():
        assert tuple(colors[label]) == color


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOC2012", "VOCdevkit/VOC2012"])
def test_layout_splits_and_order(tmp_path, below):
    build(tmp_path / below)
    voc.verify(tmp_path)
    samples = list(voc.read(tmp_path))
    assert [sample.id for sample in samples] == [name for rows in TINY.values() for name in sorted(rows)]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["test"] * 4
    assert all(sample.group == sample.id and sample.support is None for sample in samples)
    assert samples[0].file.name == "2007_000032.jpg"
    assert len(voc.CLASSES) == 20 and voc.classes() == voc.CLASSES and voc.classes(voc.Options(fold=0)) == ("object",)


def test_pixels(tmp_path):
    build(tmp_path)
    sample = by_id(tmp_path)["2007_000042"]
    image, mask = sample.image(), sample.mask()
    assert image.shape == (6, 8, 3) and mask.shape == (6, 8) and image.dtype == mask.dtype == np.uint8
    assert mask[:, 0].tolist() == TINY["val"]["2007_000042"]


def test_without_lists_no_sample_has_a_split(tmp_path):
    build(tmp_path, lists=False)
    samples = list(voc.read(tmp_path))
    assert len(samples) == 7 and {sample.split for sample in samples} == {None}
    assert [sample.id for sample in samples] == sorted(sample.id for sample in samples)
    refused(lambda: voc.verify(tmp_path, voc.Options(fold=0)), "ImageSets", "a fold needs train.txt and val.txt")


@pytest.mark.parametrize("call", [voc.read, voc.verify])
def test_images_and_masks_are_paired_by_name(tmp_path, call):
    build(tmp_path)
    mask = tmp_path / "SegmentationClass/2007_000033.png"
    mask.unlink()
    refused(lambda: call(tmp_path), str(mask), "not found", "2007_000033.jpg needs it")
    (tmp_path / "JPEGImages/2007_000033.jpg").unlink()
    call(tmp_path)  # neither file: a subset of the official data
    assert "2007_000033" not in by_id(tmp_path)
    (tmp_path / "JPEGImages/2007_000032.jpg").unlink()
    refused(lambda: call(tmp_path), "2007_000032.jpg: not found", "2007_000032.png needs it")


def test_a_mask_without_an_image_is_an_error_even_without_lists(tmp_path):
    build(tmp_path, lists=False)
    (tmp_path / "JPEGImages/2007_000032.jpg").unlink()
    refused(lambda: voc.read(tmp_path), "2007_000032.jpg: not found")


def test_unlisted_files_are_not_read(tmp_path):
    build(tmp_path)
    (tmp_path / "SegmentationClass/2011_000001.png").write_bytes(b"")
    (tmp_path / "SegmentationClass/._2007_000032.png").write_bytes(b"")
    assert len(by_id(tmp_path)) == 7


def test_lists_are_checked(tmp_path):
    build(tmp_path)
    train, val = (tmp_path / "ImageSets/Segmentation" / name for name in ("train.txt", "val.txt"))
    given = train.read_text()
    train.write_bytes(given.replace("\n", "  \r\n").encode() + b"\r\n")
    assert len(by_id(tmp_path)) == 7
    train.write_text(given + "2007_000033\n")
    refused(lambda: voc.verify(tmp_path), "val.txt, line 1", "2007_000033 is listed twice")
    train.write_text(given + "../2007_000033\n")
    refused(lambda: voc.verify(tmp_path), "train.txt, line 4", "'../2007_000033' is not the name of an image")
    train.write_text(given.replace("\n", " 1\n"))
    refused(lambda: voc.verify(tmp_path), "train.txt, line 1", "'2007_000039 1'")
    train.unlink()
    refused(lambda: voc.verify(tmp_path), "only val.txt exists")
    train.write_text("2011_000009\n")
    val.write_text("")
    refused(lambda: voc.verify(tmp_path), "no listed image with a mask")


def test_missing_folders(tmp_path):
    refused(lambda: voc.read(tmp_path), str(tmp_path), "VOCdevkit/VOC2012/SegmentationClass")
    (tmp_path / "SegmentationClass").mkdir()
    refused(lambda: voc.verify(tmp_path), "JPEGImages: not found")
    (tmp_path / "JPEGImages").mkdir()
    refused(lambda: voc.verify(tmp_path), "no image with a mask;")
    (tmp_path / "SegmentationClass" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    refused(lambda: voc.verify(tmp_path), "\\udcff", "rename")


def test_image_and_mask_are_read_separately(tmp_path):
    build(tmp_path)
    image, mask = tmp_path / "JPEGImages/2007_000032.jpg", tmp_path / "SegmentationClass/2007_000032.png"
    image.write_bytes(image.read_bytes()[:200])
    sample = by_id(tmp_path)["2007_000032"]
    assert sample.mask().any()
    refused(sample.image, str(image), "fetch it again")
    complete = mask.read_bytes()
    for content in (complete[: len(complete) // 2], complete[:30], b"", b"version https://git-lfs.github.com/spec/v1"):
        mask.write_bytes(content)
        refused(sample.mask, str(mask), "fetch it again")
    mask.unlink()
    refused(sample.mask, str(mask), "restore it")


LABELS = np.array([*range(21), 255, 0, 15], np.uint8).reshape(4, 6)


def read_saved(tmp_path: Path, image: Image.Image, **save_options) -> np.ndarray:
    path = tmp_path / "mask.png"
    image.save(path, **{"format": "PNG", **save_options})
    return voc._read_mask(path)


def test_all_encodings_of_a_mask_give_the_same_labels(tmp_path):
    colors = palette()[LABELS]
    save_mask(tmp_path / "official.png", LABELS)
    assert (voc._read_mask(tmp_path / "official.png") == LABELS).all()
    assert (read_saved(tmp_path, Image.fromarray(colors)) == LABELS).all()
    assert (read_saved(tmp_path, Image.fromarray(colors).convert("RGBA")) == LABELS).all()
    assert (read_saved(tmp_path, Image.fromarray(LABELS)) == LABELS).all()
    renumbered = Image.fromarray(colors).quantize(64)  # as PNG optimizers do
    assert (np.array(renumbered.convert("RGB")) == colors).all() and (np.array(renumbered) != LABELS).any()
    assert (read_saved(tmp_path, renumbered) == LABELS).all()


def test_invalid_masks(tmp_path):
    colors = palette()[LABELS]
    soft = colors.copy()
    soft[1, 1] += 1
    refused(lambda: read_saved(tmp_path, Image.fromarray(soft)), "mask.png", "is not one of VOC's, at 1 pixel")
    refused(lambda: read_saved(tmp_path, Image.fromarray(colors).convert("L")), "the mask holds", "its labels are 0, 1")
    refused(lambda: read_saved(tmp_path, Image.fromarray(np.full((4, 4), 21, np.uint8))), "21 at 16 pixels")
    refused(lambda: read_saved(tmp_path, Image.fromarray(colors), format="JPEG"), "a JPEG blurs the labels")
    refused(lambda: read_saved(tmp_path, Image.fromarray(np.full((4, 4), 300, np.uint16))), "8-bit label")


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with voc2012")
def test_real_data():
    voc.verify(REAL)
    samples = by_id(REAL)
    assert list(samples) == ["2011_000003", "2011_000006", "2011_000025"]
    labels = {id: set(np.unique(sample.mask()).tolist()) for id, sample in samples.items()}
    assert labels == {"2011_000003": {0, 5, 15, 255}, "2011_000006": {0, 9, 15, 18, 255}, "2011_000025": {0, 6, 7}}
    for id, sample in samples.items():
        image_io.check_same_size(sample.image(), sample.mask(), id)
        with Image.open(REAL / "SegmentationClass" / f"{id}.png") as file:
            assert (np.array(file) == sample.mask()).all()
