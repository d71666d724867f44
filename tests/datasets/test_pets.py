"""Oxford-IIIT Pet: the reader on tiny files in the official layout, the sample, the download."""

from pathlib import Path

import numpy as np
import pytest
from fake_download import faked
from gray_threshold import best_iou, histogram
from PIL import Image
from promptseg import datasets
from promptseg.datasets.pets import reader as pets
from promptseg.datasets.pets import sample as pets_sample
from refusing import digest, refused

TRAINVAL = ("Abyssinian_9 1 1 1", "Abyssinian_100 1 1 1", "boxer_1 9 2 5")
TEST = ("Abyssinian_10 1 1 1", "boxer_2 9 2 5")
ORDER = ["Abyssinian_9", "Abyssinian_10", "Abyssinian_100", "boxer_1", "boxer_2"]
HEADER = ("#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids", "")
LISTS_OF_SPLITS = ("trainval.txt", "test.txt")
TRIMAPS = "annotations/trimaps"


def add(root: Path, name: str) -> None:
    """Write a photo and its trimap, 6x8: row 0 pet, row 1 border, the rest background."""
    trimap = np.repeat(np.uint8([1, 3, 2, 2, 2, 2])[:, None], 8, axis=1)
    Image.new("RGB", (8, 6), (90, 90, 90)).save(root / f"images/{name}.jpg")
    Image.fromarray(trimap).save(root / f"{TRIMAPS}/{name}.png")


def write_list(root: Path, name: str, rows) -> None:
    (root / "annotations" / name).write_text("\n".join([*rows, ""]))


@pytest.fixture
def tiny(tmp_path) -> Path:
    """The official layout with its three lists."""
    root = tmp_path / "pets"
    for part in ("images", TRIMAPS):
        (root / part).mkdir(parents=True)
    for name in ORDER:
        add(root, name)
    write_list(root, "list.txt", (*HEADER, *TRAINVAL, *TEST))
    write_list(root, "trainval.txt", TRAINVAL)
    write_list(root, "test.txt", TEST)
    return root


def verified(folder: Path) -> dict:
    datasets.verify(pets, folder)
    return {sample.id: sample for sample in pets.read(folder)}


def test_order_split_group_and_pixels(tiny):
    samples = verified(tiny)
    assert list(samples) == ORDER
    assert [sample.split for sample in samples.values()] == ["train", "test", "train", "train", "test"]
    assert [sample.group for sample in samples.values()] == ORDER  # so no group is in two splits
    assert [sample.file for sample in samples.values()] == [tiny / f"images/{name}.jpg" for name in ORDER]
    for name, species in (("Abyssinian_9", 1), ("boxer_1", 2)):
        image, mask = samples[name].image(), samples[name].mask()
        assert image.shape == (6, 8, 3) and image.dtype == mask.dtype == np.uint8
        assert mask.tolist() == [[species] * 8, [255] * 8] + [[0] * 8] * 4


def test_other_encodings_and_values(tiny):
    sample, path = verified(tiny)["boxer_1"], tiny / f"{TRIMAPS}/boxer_1.png"
    trimap = Image.fromarray(np.array([[1, 2, 3]], np.uint8), mode="P")
    trimap.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 9, 9, 9])
    trimap.save(path)
    assert sample.mask().tolist() == [[2, 0, 255]]
    Image.fromarray(np.array([[1, 2, 0]], np.uint8)).save(path)
    refused(sample.mask, "boxer_1.png", "0 at 1 pixel", "1, 2, 3")
    Image.new("RGB", (8, 6), (9, 8, 7)).save(sample.file, format="PNG")  # like Egyptian_Mau_156
    assert sample.image()[0, 0].tolist() == [9, 8, 7]


def test_folder_below_and_doubled_folders(tiny):
    for part in ("images", TRIMAPS):
        (tiny.parent / ".hidden" / part).mkdir(parents=True)
    assert list(verified(tiny.parent)) == ORDER
    for part in ("images", "annotations"):  # images/images and annotations/annotations
        (tiny / part).rename(tiny / "aside")
        (tiny / part).mkdir()
        (tiny / "aside").rename(tiny / part / part)
    for folder in (tiny, tiny.parent):
        assert list(verified(folder)) == ORDER


@pytest.mark.parametrize("lists", ["all", "none"])
def test_stray_files_and_known_bad_images_are_left_out(tiny, lists):
    for stray in ("images/Abyssinian_100.mat", "images/._boxer_1.jpg", f"{TRIMAPS}/._boxer_1.png"):
        (tiny / stray).write_bytes(b"stray")
    Image.new("L", (8, 6)).save(tiny / "images/Egyptian_Mau_139.jpg", format="GIF")
    Image.new("RGBA", (8, 6), (9, 9, 9, 0)).save(tiny / "images/Abyssinian_5.jpg", format="PNG")  # without a trimap
    add(tiny, "staffordshire_bull_terrier_2")
    write_list(tiny, "test.txt", (*TEST, "Abyssinian_5 1 1 1"))
    write_list(tiny, "list.txt", (*HEADER, *TRAINVAL, *TEST, "Abyssinian_5 1 1 1"))
    if lists == "none":
        for name in ("list.txt", *LISTS_OF_SPLITS):
            (tiny / "annotations" / name).unlink()
    assert list(verified(tiny)) == ORDER


def test_lists_are_optional(tiny):
    add(tiny, "Bombay_11")
    given = (tiny / "annotations/list.txt").read_text()
    (tiny / "images/Bombay_22.jpg").write_bytes(b"no trimap, and no list has it")
    for text in (given, None):
        if text is None:
            (tiny / "annotations/list.txt").unlink()
        assert list(verified(tiny)) == ORDER
    for name in LISTS_OF_SPLITS:
        (tiny / "annotations" / name).unlink()
    (tiny / "annotations/list.txt").write_text(given)
    assert {id: sample.split for id, sample in verified(tiny).items()} == dict.fromkeys(ORDER)
    (tiny / "annotations/list.txt").unlink()
    (tiny / "images/Bombay_22.jpg").unlink()
    samples = verified(tiny)
    assert list(samples) == [*ORDER[:3], "Bombay_11", *ORDER[3:]]
    assert samples["Bombay_11"].mask()[:2, 0].tolist() == [1, 255] and samples["boxer_2"].mask()[0, 0] == 2


def test_a_subset_of_the_data(tiny):
    expected = list(ORDER)
    for name in ("Abyssinian_100", "boxer_2", "Abyssinian_10"):
        assert list(verified(tiny)) == expected
        (tiny / f"images/{name}.jpg").unlink()
        (tiny / f"{TRIMAPS}/{name}.png").unlink()
        expected.remove(name)
    assert [sample.id for sample in pets.read(tiny)] == expected
    refused(lambda: datasets.verify(pets, tiny), "annotations/test.txt: no images")


@pytest.mark.parametrize(
    "source, target, words",
    [
        ("images/boxer_1.jpg", "away", ("images/boxer_1.jpg: not found, the image of boxer_1.png", "restore")),
        (f"{TRIMAPS}/boxer_1.png", "away", ("trimaps/boxer_1.png: not found, the mask of boxer_1.jpg",)),
        ("annotations/trainval.txt", "away", ("annotations/trainval.txt: not found beside", "restore it")),
        ("annotations/test.txt", "away", ("annotations/test.txt: not found beside", "restore it")),
        ("images/boxer_1.jpg", "images/boxer 3 (copy).jpg", ("'boxer 3 (copy).jpg'", "rename the file")),
    ],
)
def test_missing_and_misnamed_files_are_refused(tiny, source, target, words):
    (tiny / source).rename(tiny / target)
    refused(lambda: pets.read(tiny), *words)


@pytest.mark.parametrize(
    ("file", "row", "words"),
    [
        ("test.txt", b"Abyssinian_9 1 1 1", ("test.txt: line 3", "Abyssinian_9 is in trainval.txt as well")),
        ("list.txt", b"boxer_7 9 1 5", ("list.txt: line 9", "boxer_7 has species 1 (cat)", "name of a dog")),
        ("trainval.txt", b"Persian_1 24 2 8", ("trainval.txt: line 4", "species 2 (dog)", "name of a cat")),
        ("list.txt", b"Persian_1 24 3 8", ("species 3 (neither cat nor dog)",)),
        ("test.txt", b"Persian_1 24", ("test.txt: line 3", "Abyssinian_1 1 1 1", "official list")),
        ("test.txt", b"Persian_1 24 cat 8", ("test.txt: line 3",)),
        ("list.txt", b"<html>\xff", ("list.txt: line 9",)),
    ],
)
def test_invalid_lists_are_refused(tiny, file, row, words):
    with open(tiny / "annotations" / file, "ab") as opened:
        opened.write(row + b"\n")
    refused(lambda: pets.read(tiny), *words)


def test_missing_parts(tmp_path):
    refused(lambda: pets.read(tmp_path), tmp_path, "`images` and `annotations`", "unpack both archives")
    refused(lambda: datasets.verify(pets, tmp_path / "nowhere"), "nowhere: no such folder", "datasets.pets.raw")
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    refused(lambda: pets.read(tmp_path), "annotations/trimaps: not found", "annotations.tar.gz")
    (tmp_path / TRIMAPS).mkdir()
    refused(lambda: datasets.verify(pets, tmp_path), "images: no photo")


def test_the_sample_is_in_the_official_layout_and_has_one_pet_with_a_border(written_sample):
    folder = written_sample("pets")
    samples = list(verified(folder).values())
    splits = [sample.split for sample in samples]
    assert (splits.count("train"), splits.count("test")) == tuple(pets_sample.COUNTS.values())
    lines = (folder / "annotations/list.txt").read_text().splitlines()
    assert lines[0] == "#Image CLASS-ID SPECIES BREED ID" and len(lines) == 6 + len(samples)
    with Image.open(samples[0].file) as photo:
        assert (photo.format, photo.mode) == ("JPEG", "RGB") and 256 <= min(photo.size) <= max(photo.size) <= 500
    with Image.open(folder / f"{TRIMAPS}/{samples[0].id}.png") as trimap:
        assert (trimap.format, trimap.mode) == ("PNG", "L")
    shown = set()
    for sample in samples:
        mask, species = sample.mask(), 1 if sample.id[0].isupper() else 2
        assert set(np.unique(mask)) == {0, species, 255}, sample.id
        assert 0.01 < (mask == species).mean() < 0.8 and (mask == 255).mean() < 0.25, sample.id
        shown.add((sample.split, species))
    assert shown == {("train", 1), ("train", 2), ("test", 1), ("test", 2)}
    assert best_iou(histogram(sample for sample in samples if sample.split == "test"), 1, 2) < 0.4


def test_download_fetches_the_official_archives(tmp_path, monkeypatch):
    def unpack(archive, folder):
        part = folder / archive.name.removesuffix(".tar.gz")
        part.mkdir()
        (part / "member").write_bytes(b"x")

    requested = faked(monkeypatch, unpack)
    pets.download(tmp_path)
    home = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
    assert sorted(requested) == [
        (f"{home}annotations.tar.gz", {"md5": "95a8c909bbe2e81eed6a22bccdf3f68f", "size": None}),
        (f"{home}images.tar.gz", {"md5": "5c4f3ee8e5d25df40f4fd59a7f44e54c", "size": 791918971}),
    ]
    assert list(digest(tmp_path)) == ["annotations/member", "images/member"]
