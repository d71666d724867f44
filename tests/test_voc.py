"""Pascal VOC 2012: the reader on tiny files in the true layout, and masks of every color."""

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
# By list, then photo: the label of each row of its mask (the photos are 6 rows of 8 pixels).
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
    picture = Image.fromarray(labels)
    picture.putpalette(palette().ravel().tolist())
    picture.save(path)


def build(root: Path, lists: bool = True) -> Path:
    """The files of TINY below `root`, which stands where VOC2012 does, and a photo of another task."""
    photos, masks, sets = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for folder in (photos, masks, sets):
        folder.mkdir(parents=True, exist_ok=True)
    for part, rows in TINY.items():
        for name, labels in rows.items():
            gray = int(hashlib.sha256(name.encode()).hexdigest()[:2], 16)
            Image.new("RGB", (8, 6), (gray, gray, gray)).save(photos / f"{name}.jpg")
            save_mask(masks / f"{name}.png", np.repeat(np.array(labels, np.uint8)[:, None], 8, 1))
        if lists:
            (sets / f"{part}.txt").write_text("".join(f"{name}\n" for name in rows))
    Image.new("RGB", (8, 6)).save(photos / "2012_004331.jpg")
    return root


def by_id(folder: Path, options=voc.Options()) -> dict:
    return {picture.id: picture for picture in voc.read(folder, options)}


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
    pictures = list(voc.read(tmp_path))
    assert [picture.id for picture in pictures] == [name for rows in TINY.values() for name in sorted(rows)]
    assert [picture.split for picture in pictures] == ["train"] * 3 + ["test"] * 4
    assert all(picture.group == picture.id and picture.support is None for picture in pictures)
    assert pictures[0].file.name == "2007_000032.jpg"
    assert len(voc.CLASSES) == 20 and voc.classes() == voc.CLASSES and voc.classes(voc.Options(fold=0)) == ("object",)


def test_pixels(tmp_path):
    build(tmp_path)
    picture = by_id(tmp_path)["2007_000042"]
    image, mask = picture.image(), picture.mask()
    assert image.shape == (6, 8, 3) and mask.shape == (6, 8) and image.dtype == mask.dtype == np.uint8
    assert mask[:, 0].tolist() == TINY["val"]["2007_000042"]


def test_without_lists_no_pair_has_a_split(tmp_path):
    build(tmp_path, lists=False)
    pictures = list(voc.read(tmp_path))
    assert len(pictures) == 7 and {picture.split for picture in pictures} == {None}
    assert [picture.id for picture in pictures] == sorted(picture.id for picture in pictures)
    refused(lambda: voc.verify(tmp_path, voc.Options(fold=0)), "ImageSets", "a fold needs train.txt and val.txt")


@pytest.mark.parametrize("call", [voc.read, voc.verify])
def test_photos_and_masks_pair_by_name(tmp_path, call):
    build(tmp_path)
    mask = tmp_path / "SegmentationClass/2007_000033.png"
    mask.unlink()
    refused(lambda: call(tmp_path), str(mask), "not found", "2007_000033.jpg needs it")
    (tmp_path / "JPEGImages/2007_000033.jpg").unlink()
    call(tmp_path)  # neither: a part of the official data
    assert "2007_000033" not in by_id(tmp_path)
    (tmp_path / "JPEGImages/2007_000032.jpg").unlink()
    refused(lambda: call(tmp_path), "2007_000032.jpg: not found", "2007_000032.png needs it")


def test_a_mask_without_a_photo_is_refused_without_lists_too(tmp_path):
    build(tmp_path, lists=False)
    (tmp_path / "JPEGImages/2007_000032.jpg").unlink()
    refused(lambda: voc.read(tmp_path), "2007_000032.jpg: not found")


def test_what_is_in_no_list_is_not_read(tmp_path):
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
    refused(lambda: voc.verify(tmp_path), "train.txt, line 4", "'../2007_000033' is no name")
    train.write_text(given.replace("\n", " 1\n"))
    refused(lambda: voc.verify(tmp_path), "train.txt, line 1", "'2007_000039 1'")
    train.unlink()
    refused(lambda: voc.verify(tmp_path), "val.txt is there alone")
    train.write_text("2011_000009\n")
    val.write_text("")
    refused(lambda: voc.verify(tmp_path), "no photo with a mask that is listed")


def test_missing_folders(tmp_path):
    refused(lambda: voc.read(tmp_path), str(tmp_path), "VOCdevkit/VOC2012/SegmentationClass")
    (tmp_path / "SegmentationClass").mkdir()
    refused(lambda: voc.verify(tmp_path), "JPEGImages: not found")
    (tmp_path / "JPEGImages").mkdir()
    refused(lambda: voc.verify(tmp_path), "no photo with a mask;")
    (tmp_path / "SegmentationClass" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    refused(lambda: voc.verify(tmp_path), "\\udcff", "rename")


def test_only_what_is_asked_for_is_read(tmp_path):
    build(tmp_path)
    photo, mask = tmp_path / "JPEGImages/2007_000032.jpg", tmp_path / "SegmentationClass/2007_000032.png"
    photo.write_bytes(photo.read_bytes()[:200])
    picture = by_id(tmp_path)["2007_000032"]
    assert picture.mask().any()
    refused(picture.image, str(photo), "fetch it again")
    whole = mask.read_bytes()
    for left in (whole[: len(whole) // 2], whole[:30], b"", b"version https://git-lfs.github.com/spec/v1"):
        mask.write_bytes(left)
        refused(picture.mask, str(mask), "fetch it again")
    mask.unlink()
    refused(picture.mask, str(mask), "restore it")


LABELS = np.array([*range(21), 255, 0, 15], np.uint8).reshape(4, 6)


def masked(tmp_path: Path, picture: Image.Image, **how) -> np.ndarray:
    path = tmp_path / "mask.png"
    picture.save(path, **{"format": "PNG", **how})
    return voc._mask(path)


def test_masks_of_every_kind_say_the_same(tmp_path):
    colors = palette()[LABELS]
    save_mask(tmp_path / "official.png", LABELS)
    assert (voc._mask(tmp_path / "official.png") == LABELS).all()
    assert (masked(tmp_path, Image.fromarray(colors)) == LABELS).all()
    assert (masked(tmp_path, Image.fromarray(colors).convert("RGBA")) == LABELS).all()
    assert (masked(tmp_path, Image.fromarray(LABELS)) == LABELS).all()
    renumbered = Image.fromarray(colors).quantize(64)  # as programs do that make a PNG smaller
    assert (np.array(renumbered.convert("RGB")) == colors).all() and (np.array(renumbered) != LABELS).any()
    assert (masked(tmp_path, renumbered) == LABELS).all()


def test_wrong_masks_are_refused(tmp_path):
    colors = palette()[LABELS]
    soft = colors.copy()
    soft[1, 1] += 1
    refused(lambda: masked(tmp_path, Image.fromarray(soft)), "mask.png", "none of VOC's, at 1 pixels")
    refused(lambda: masked(tmp_path, Image.fromarray(colors).convert("L")), "the mask holds", "its labels are 0, 1")
    refused(lambda: masked(tmp_path, Image.fromarray(np.full((4, 4), 21, np.uint8))), "21 at 16 pixels")
    refused(lambda: masked(tmp_path, Image.fromarray(colors), format="JPEG"), "a JPEG blurs the labels")
    refused(lambda: masked(tmp_path, Image.fromarray(np.full((4, 4), 300, np.uint16))), "8-bit label")


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with voc2012")
def test_real_data():
    voc.verify(REAL)
    pictures = by_id(REAL)
    assert list(pictures) == ["2011_000003", "2011_000006", "2011_000025"]
    labels = {id: set(np.unique(picture.mask()).tolist()) for id, picture in pictures.items()}
    assert labels == {"2011_000003": {0, 5, 15, 255}, "2011_000006": {0, 9, 15, 18, 255}, "2011_000025": {0, 6, 7}}
    for id, picture in pictures.items():
        image_io.check_pair(picture.image(), picture.mask(), id)
        with Image.open(REAL / "SegmentationClass" / f"{id}.png") as file:
            assert (np.array(file) == picture.mask()).all()
