"""Pairs by name: what belongs together in odd layouts, and what is said where something does not."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promptseg.core.errors import UserError
from promptseg.data.file_names import natural
from promptseg.datasets.folder.pairing import listing, pairs
from promptseg.datasets.folder.patterns import Pattern


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def found(folder: Path, images: str, masks: str, skip: bool = False) -> list[tuple[str, str]]:
    return [(pair.image, pair.mask) for pair in pairs(folder, Pattern(images), Pattern(masks), skip)]


def refused(folder: Path, images: str, masks: str, *words: str, skip: bool = False) -> str:
    with pytest.raises(UserError) as problem:
        found(folder, images, masks, skip)
    message = str(problem.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def test_by_name_and_in_the_order_of_the_names(tmp_path):
    touch(tmp_path, "images/p10.jpg", "images/p9.png", "images/P2.jpg", "masks/p9.png", "masks/P2.tif", "masks/p10.png")
    assert found(tmp_path, "images/{name}.*", "masks/{name}.*") == [
        ("images/P2.jpg", "masks/P2.tif"), ("images/p9.png", "masks/p9.png"), ("images/p10.jpg", "masks/p10.png"),
    ]  # fmt: skip


def test_what_is_no_picture_or_hidden_is_passed_over(tmp_path):
    touch(tmp_path, "images/a.jpg", "masks/a.png", "images/Thumbs.db", "images/notes.txt", "masks/.a.png", ".x/b.png")
    touch(tmp_path, "__MACOSX/images/b.jpg", "images/._a.jpg")
    assert found(tmp_path, "**/images/*", "**/masks/*") == [("images/a.jpg", "masks/a.png")]
    assert listing(tmp_path) == ["images/Thumbs.db", "images/a.jpg", "images/notes.txt", "masks/a.png"]


def test_a_mask_beside_its_picture_is_no_picture(tmp_path):
    touch(tmp_path, "b.tif", "b_gt.tif", "a.tif", "a_gt.tif", "a_gt_gt.tif", "a_gt_gt_gt.tif")
    pattern = "{name}.tif", "{name}_gt.tif"
    assert found(tmp_path, *pattern) == [
        ("a.tif", "a_gt.tif"),
        ("a_gt_gt.tif", "a_gt_gt_gt.tif"),
        ("b.tif", "b_gt.tif"),
    ]
    (tmp_path / "b.tif").unlink()
    refused(tmp_path, *pattern, "b_gt.tif: there is no picture b.tif")
    touch(tmp_path, "b.tif")
    (tmp_path / "b_gt.tif").unlink()
    refused(tmp_path, *pattern, "b.tif: there is no mask b_gt.tif; add it", "options.unpaired: skip")


def test_a_picture_beside_its_mask_is_no_mask(tmp_path):
    touch(tmp_path, "a_rgb.png", "a.png", "b_rgb.png", "b.png")
    assert found(tmp_path, "{name}_rgb.png", "{name}.png") == [("a_rgb.png", "a.png"), ("b_rgb.png", "b.png")]
    (tmp_path / "b.png").unlink()
    refused(tmp_path, "{name}_rgb.png", "{name}.png", "b_rgb.png: there is no mask b.png")


def test_splits_pair_by_what_they_mean(tmp_path):
    touch(tmp_path, "images/Train/a.png", "masks/training/a.png", "images/test/a.png", "masks/Test Set/a.png")
    assert found(tmp_path, "images/{split}/{name}.png", "masks/{split}/{name}.png") == [
        ("images/test/a.png", "masks/Test Set/a.png"),
        ("images/Train/a.png", "masks/training/a.png"),
    ]


def test_accents_in_two_spellings_pair(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "images/Lärche.jpg"), unicodedata.normalize("NFC", "masks/Lärche.png"))
    assert len(found(tmp_path, "images/{name}.jpg", "masks/{name}.png")) == 1


def test_more_in_the_picture_than_in_the_mask(tmp_path):
    touch(tmp_path, "a/deep/x.jpg", "y.jpg", "masks/x.png", "masks/y.png")
    assert found(tmp_path, "**/*.jpg", "masks/{name}.png") == [
        ("y.jpg", "masks/y.png"),
        ("a/deep/x.jpg", "masks/x.png"),
    ]
    touch(tmp_path, "b/x.jpg")
    refused(tmp_path, "**/*.jpg", "masks/{name}.png", "b/x.jpg: a/deep/x.jpg is a picture of the same name 'x'")


def test_twins(tmp_path):
    touch(tmp_path, "images/a.jpg", "images/a.JPG", "masks/a.png")
    refused(tmp_path, "images/{name}.jpg", "masks/{name}.png", "images/a.jpg: images/a.JPG is a picture", "'a'")
    (tmp_path / "images/a.JPG").unlink()
    touch(tmp_path, "masks/a.tif")
    refused(tmp_path, "images/{name}.jpg", "masks/{name}.*", "masks/a.tif: masks/a.png is a mask of the same name")


def test_unpaired(tmp_path):
    touch(tmp_path, *(f"images/p{i}.jpg" for i in range(1, 13)), *(f"masks/p{i}.png" for i in range(4, 15)))
    pattern = "images/{name}.jpg", "masks/{name}.png"
    refused(tmp_path, *pattern, "images/p1.jpg: there is no mask masks/p1.png (the first of 3 such pictures)")
    assert len(found(tmp_path, *pattern, skip=True)) == 9
    touch(tmp_path, *(f"masks/p{i}.png" for i in range(1, 4)))
    refused(tmp_path, *pattern, "masks/p13.png: there is no picture images/p13.jpg (the first of 2 such masks)")


@pytest.mark.parametrize("skip", [False, True])
def test_none_pairs(tmp_path, skip):
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a_mask.png", "masks/b_mask.png")
    message = refused(tmp_path, "images/{name}.jpg", "masks/{name}.png", "images/a.jpg: there is no mask", skip=skip)
    assert "masks/a.png" in message and "2 files are there, nearest 'masks/a_mask.png'" in message
    assert message.endswith("correct options.images or options.masks")


def test_nothing_matches(tmp_path):
    touch(tmp_path, "Images/a.jpg", "Images/b.jpg", "masks/a.png", "readme.txt")
    refused(
        tmp_path, "images/{name}.jpg", "masks/{name}.png",
        f"{tmp_path}: no file matches options.images 'images/{{name}}.jpg'; 4 files are there, nearest 'Images/a.jpg'",
    )  # fmt: skip
    refused(tmp_path, "Images/*.jpg", "labels/*.png", "options.masks 'labels/*.png'", "nearest 'masks/a.png'")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "images/*", "masks/*", "no file is there")
    refused(tmp_path / "nowhere", "images/*", "masks/*", "no such folder", "datasets.<name>.source")


def test_kinds_that_are_not_read(tmp_path):
    touch(tmp_path, "images/a.bmp", "masks/a.png")
    refused(tmp_path, "images/{name}.*", "masks/{name}.*", "images/a.bmp: .bmp files are not read; convert it")
    refused(tmp_path, "images/{name}.bmp", "masks/{name}.*", "images/a.bmp")


def test_names_that_cannot_be_shown(tmp_path):
    touch(tmp_path, "images/a\nb.png", "masks/a\nb.png")
    refused(tmp_path, "images/*", "masks/*", "a\\nb.png", "rename the file")


def test_many_files_take_no_time(tmp_path, monkeypatch):
    names = [f"images/{i:05d}.jpg" for i in range(50_000)] + [f"masks/{i:05d}.png" for i in range(50_000)]
    monkeypatch.setattr("promptseg.datasets.folder.pairing.listing", lambda folder: names)
    assert len(found(tmp_path, "images/{name}.jpg", "masks/{name}.png")) == 50_000
    refused(tmp_path, "images/{name}.jpg", "masks/{name}_mask.png", "100,000 files are there, nearest")


@given(st.sets(st.text("ab0_. ", min_size=1, max_size=5).filter(lambda name: not name.startswith(".")), min_size=1))
def test_each_name_pairs_with_itself(names):
    with pytest.MonkeyPatch.context() as patch:
        files = sorted([f"i/{name}.png" for name in names] + [f"m/{name}_x.png" for name in names], reverse=True)
        patch.setattr("promptseg.datasets.folder.pairing.listing", lambda folder: files)
        made = found(Path("folder"), "i/{name}.png", "m/{name}_x.png")
    assert made == [(f"i/{name}.png", f"m/{name}_x.png") for name in sorted(names, key=natural)]
