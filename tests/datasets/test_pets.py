"""Tests of the Oxford-IIIT Pet reader."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.pets import reader as pets
from refusing import refused

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "oxford_iiit_pet"
TRAINVAL = ("Abyssinian_9 1 1 1", "Abyssinian_100 1 1 1", "boxer_1 9 2 5")
TEST = ("Abyssinian_10 1 1 1", "boxer_2 9 2 5")
ORDER = ["Abyssinian_9", "Abyssinian_10", "Abyssinian_100", "boxer_1", "boxer_2"]
HEADER = ("#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids", "")
LISTS_OF_SPLITS = ("trainval.txt", "test.txt")


def add(root: Path, name: str, shade: int = 90) -> None:
    """Write a photo and its trimap, 6x8: row 0 pet, row 1 border, the rest background."""
    trimap = np.full((6, 8), 2, np.uint8)
    trimap[0], trimap[1] = 1, 3
    Image.fromarray(np.full((6, 8, 3), shade, np.uint8)).save(root / f"images/{name}.jpg", quality=95)
    Image.fromarray(trimap).save(root / f"annotations/trimaps/{name}.png")


def write_list(root: Path, name: str, rows) -> None:
    (root / "annotations" / name).write_text("\n".join([*rows, ""]))


def build(root: Path) -> Path:
    """Write the official layout with its three lists."""
    (root / "images").mkdir(parents=True)
    (root / "annotations/trimaps").mkdir(parents=True)
    for name in ORDER:
        add(root, name)
    write_list(root, "list.txt", (*HEADER, *TRAINVAL, *TEST))
    write_list(root, "trainval.txt", TRAINVAL)
    write_list(root, "test.txt", TEST)
    return root


@pytest.fixture
def tiny(tmp_path) -> Path:
    return build(tmp_path / "pets")


def ids(folder: Path) -> list[str]:
    return [sample.id for sample in pets.read(folder)]


def test_order_split_and_group(tiny):
    pets.verify(tiny)
    samples = list(pets.read(tiny))
    assert [sample.id for sample in samples] == ORDER
    assert [sample.split for sample in samples] == ["train", "test", "train", "train", "test"]
    assert [sample.group for sample in samples] == ORDER  # so no group is in two splits
    assert [sample.file for sample in samples] == [tiny / f"images/{name}.jpg" for name in ORDER]


def test_pixels(tiny):
    samples = {sample.id: sample for sample in pets.read(tiny)}
    for name, species in (("Abyssinian_9", 1), ("boxer_1", 2)):
        image, mask = samples[name].image(), samples[name].mask()
        assert image.shape == (6, 8, 3) and image.dtype == mask.dtype == np.uint8
        assert mask.tolist() == [[species] * 8, [255] * 8] + [[0] * 8] * 4


def test_trimap_with_a_palette(tiny):
    path = tiny / "annotations/trimaps/boxer_1.png"
    trimap = Image.fromarray(np.array([[1, 2, 3]], np.uint8), mode="P")
    trimap.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 9, 9, 9])
    trimap.save(path)
    assert next(sample for sample in pets.read(tiny) if sample.id == "boxer_1").mask().tolist() == [[2, 0, 255]]


@pytest.mark.parametrize("doubled", [False, True])
def test_folder_below_and_doubled_folders(tmp_path, doubled):
    root = build(tmp_path / "oxford-iiit-pet")
    (tmp_path / ".hidden").mkdir()
    if doubled:  # images/images and annotations/annotations
        for part in ("images", "annotations"):
            (root / part).rename(root / "aside")
            (root / part).mkdir()
            (root / "aside").rename(root / part / part)
    for folder in (root, tmp_path):
        pets.verify(folder)
        assert ids(folder) == ORDER


def test_stray_files_are_ignored(tiny):
    (tiny / "images/Abyssinian_100.mat").write_bytes(b"MATLAB 5.0")
    for stray in ("images/._boxer_1.jpg", "annotations/trimaps/._boxer_1.png", "annotations/trimaps/.DS_Store"):
        (tiny / stray).write_bytes(b"stray")
    pets.verify(tiny)
    assert ids(tiny) == ORDER


@pytest.mark.parametrize("lists", ["all", "none"])
def test_known_bad_images_are_excluded(tiny, lists):
    gif = tiny / "images/Egyptian_Mau_139.jpg"
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(gif, format="GIF")
    Image.new("RGBA", (8, 6), (9, 9, 9, 0)).save(tiny / "images/Abyssinian_5.jpg", format="PNG")  # without a trimap
    add(tiny, "staffordshire_bull_terrier_2")
    write_list(tiny, "test.txt", (*TEST, "Abyssinian_5 1 1 1"))
    write_list(tiny, "list.txt", (*HEADER, *TRAINVAL, *TEST, "Abyssinian_5 1 1 1"))
    if lists == "none":
        for name in ("list.txt", "trainval.txt", "test.txt"):
            (tiny / "annotations" / name).unlink()
    pets.verify(tiny)
    assert ids(tiny) == ORDER


def test_png_named_jpg_is_read(tiny):  # like Egyptian_Mau_156
    Image.new("RGB", (8, 6), (9, 8, 7)).save(tiny / "images/boxer_1.jpg", format="PNG")
    sample = next(sample for sample in pets.read(tiny) if sample.id == "boxer_1")
    assert sample.image()[0, 0].tolist() == [9, 8, 7]


def test_photos_that_no_list_names_are_skipped(tiny):
    add(tiny, "Bombay_11")
    (tiny / "images/Bombay_22.jpg").write_bytes(b"no trimap, and no list has it")
    pets.verify(tiny)
    assert ids(tiny) == ORDER


def test_without_split_lists_there_is_no_split(tiny):
    add(tiny, "Bombay_11")
    for name in LISTS_OF_SPLITS:
        (tiny / "annotations" / name).unlink()
    pets.verify(tiny)
    assert [(sample.id, sample.split) for sample in pets.read(tiny)] == [(name, None) for name in ORDER]
    (tiny / "annotations/list.txt").unlink()
    pets.verify(tiny)
    samples = {sample.id: sample for sample in pets.read(tiny)}
    assert list(samples) == [*ORDER[:3], "Bombay_11", *ORDER[3:]]
    assert samples["Bombay_11"].mask().max() == 255 and samples["Bombay_11"].mask()[0, 0] == 1
    assert samples["boxer_2"].mask()[0, 0] == 2


def test_list_txt_is_optional(tiny):
    (tiny / "annotations/list.txt").unlink()
    pets.verify(tiny)
    assert ids(tiny) == ORDER


def test_a_subset_of_the_data(tiny):
    for name in ("Abyssinian_100", "boxer_2"):
        (tiny / f"images/{name}.jpg").unlink()
        (tiny / f"annotations/trimaps/{name}.png").unlink()
    pets.verify(tiny)
    assert ids(tiny) == ["Abyssinian_9", "Abyssinian_10", "boxer_1"]
    (tiny / "images/Abyssinian_10.jpg").unlink()
    (tiny / "annotations/trimaps/Abyssinian_10.png").unlink()
    assert ids(tiny) == ["Abyssinian_9", "boxer_1"]
    refused(lambda: pets.verify(tiny), "annotations/test.txt", "none of its photos exists")


@pytest.mark.parametrize("call", [pets.read, pets.verify])
def test_names_must_pair(tiny, call):
    photo, trimap = tiny / "images/boxer_1.jpg", tiny / "annotations/trimaps/boxer_1.png"
    photo.rename(tiny / "photo")
    refused(lambda: call(tiny), "images/boxer_1.jpg: not found", "boxer_1.png needs it", "restore")
    (tiny / "photo").rename(photo)
    trimap.unlink()
    refused(lambda: call(tiny), "trimaps/boxer_1.png: not found", "boxer_1.jpg needs it")


@pytest.mark.parametrize("name", LISTS_OF_SPLITS)
def test_one_split_list_alone_is_refused(tiny, name):
    (tiny / "annotations" / name).unlink()
    refused(lambda: pets.read(tiny), f"annotations/{name}: not found beside", "restore it")


@pytest.mark.parametrize(
    ("file", "row", "words"),
    [
        ("test.txt", "Abyssinian_9 1 1 1", ("test.txt: line 3", "Abyssinian_9 is in trainval.txt as well")),
        ("list.txt", "boxer_7 9 1 5", ("list.txt: line 9", "boxer_7 has species 1 (cat)", "name of a dog")),
        ("trainval.txt", "Persian_1 24 2 8", ("trainval.txt: line 4", "species 2 (dog)", "name of a cat")),
        ("list.txt", "Persian_1 24 3 8", ("species 3 (neither cat nor dog)",)),
        ("test.txt", "Persian_1 24", ("test.txt: line 3", "Abyssinian_1 1 1 1", "official list")),
        ("test.txt", "Persian_1 24 cat 8", ("test.txt: line 3",)),
        ("list.txt", "<html>\udcff", ("list.txt: line 9",)),
    ],
)
def test_invalid_lists_are_refused(tiny, file, row, words):
    path = tiny / "annotations" / file
    path.write_bytes(path.read_bytes() + row.encode("utf-8", "surrogateescape") + b"\n")
    refused(lambda: pets.read(tiny), *words)
    refused(lambda: pets.verify(tiny), *words)


def test_missing_parts(tmp_path):
    refused(lambda: pets.read(tmp_path), str(tmp_path), "`images` and `annotations`", "unpack both archives")
    refused(lambda: pets.verify(tmp_path / "nowhere"), "nowhere: no such folder", "datasets.pets.raw")
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    refused(lambda: pets.read(tmp_path), "annotations/trimaps: not found", "annotations.tar.gz")
    (tmp_path / "annotations/trimaps").mkdir()
    refused(lambda: pets.verify(tmp_path), "images: no photo")


def test_unexpected_names_are_refused(tiny):
    (tiny / "images/boxer 3 (copy).jpg").write_bytes(b"")
    refused(lambda: pets.read(tiny), "'boxer 3 (copy).jpg'", "rename the file")


def test_files_are_decoded_lazily(tiny):
    photo, trimap = tiny / "images/Abyssinian_9.jpg", tiny / "annotations/trimaps/Abyssinian_9.png"
    photo.write_bytes(photo.read_bytes()[:-40])
    pets.verify(tiny)
    sample = next(iter(pets.read(tiny)))
    assert sample.mask().any()
    refused(sample.image, "images/Abyssinian_9.jpg", "fetch it again")
    trimap.write_bytes(trimap.read_bytes()[:-30])
    refused(sample.mask, "trimaps/Abyssinian_9.png", "fetch it again")


def test_trimap_values_are_checked(tiny):
    Image.fromarray(np.array([[1, 2, 0]], np.uint8)).save(tiny / "annotations/trimaps/Abyssinian_9.png")
    refused(next(iter(pets.read(tiny))).mask, "Abyssinian_9.png", "0 at 1 pixel", "1, 2, 3")


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with oxford_iiit_pet")
def test_real_data():
    pets.verify(REAL)
    samples = list(pets.read(REAL))
    assert len({sample.id for sample in samples}) == len(samples)
    assert {sample.split for sample in samples} == {"train", "test"}
    for sample in samples:
        image, mask = sample.image(), sample.mask()
        assert image.shape[:2] == mask.shape
        assert set(np.unique(mask)) == {0, 1 if sample.id[0].isupper() else 2, 255}
