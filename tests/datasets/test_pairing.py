"""Pairing by name: images and masks in unusual layouts, and errors for files that do not pair."""

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
    with pytest.raises(UserError) as raised:
        found(folder, images, masks, skip)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def test_pairs_by_name_in_natural_order(tmp_path):
    touch(tmp_path, "images/p10.jpg", "images/p9.png", "images/P2.jpg", "masks/p9.png", "masks/P2.tif", "masks/p10.png")
    assert found(tmp_path, "images/{name}.*", "masks/{name}.*") == [
        ("images/P2.jpg", "masks/P2.tif"), ("images/p9.png", "masks/p9.png"), ("images/p10.jpg", "masks/p10.png"),
    ]  # fmt: skip


def test_other_and_hidden_files_are_ignored(tmp_path):
    touch(tmp_path, "images/a.jpg", "masks/a.png", "images/Thumbs.db", "images/notes.txt", "masks/.a.png", ".x/b.png")
    touch(tmp_path, "__MACOSX/images/b.jpg", "images/._a.jpg")
    assert found(tmp_path, "**/images/*", "**/masks/*") == [("images/a.jpg", "masks/a.png")]
    assert listing(tmp_path) == ["images/Thumbs.db", "images/a.jpg", "images/notes.txt", "masks/a.png"]


def test_a_mask_that_also_matches_images_is_not_an_image(tmp_path):
    touch(tmp_path, "b.tif", "b_gt.tif", "a.tif", "a_gt.tif", "a_gt_gt.tif", "a_gt_gt_gt.tif")
    pattern = "{name}.tif", "{name}_gt.tif"
    assert found(tmp_path, *pattern) == [
        ("a.tif", "a_gt.tif"),
        ("a_gt_gt.tif", "a_gt_gt_gt.tif"),
        ("b.tif", "b_gt.tif"),
    ]
    (tmp_path / "b.tif").unlink()
    refused(tmp_path, *pattern, "b_gt.tif: its image b.tif was not found")
    touch(tmp_path, "b.tif")
    (tmp_path / "b_gt.tif").unlink()
    refused(tmp_path, *pattern, "b.tif: its mask b_gt.tif was not found; add it", "options.unpaired: skip")


def test_an_image_that_also_matches_masks_is_not_a_mask(tmp_path):
    touch(tmp_path, "a_rgb.png", "a.png", "b_rgb.png", "b.png")
    assert found(tmp_path, "{name}_rgb.png", "{name}.png") == [("a_rgb.png", "a.png"), ("b_rgb.png", "b.png")]
    (tmp_path / "b.png").unlink()
    refused(tmp_path, "{name}_rgb.png", "{name}.png", "b_rgb.png: its mask b.png was not found")


def test_different_words_for_a_split_pair(tmp_path):
    touch(tmp_path, "images/Train/a.png", "masks/training/a.png", "images/test/a.png", "masks/Test Set/a.png")
    assert found(tmp_path, "images/{split}/{name}.png", "masks/{split}/{name}.png") == [
        ("images/test/a.png", "masks/Test Set/a.png"),
        ("images/Train/a.png", "masks/training/a.png"),
    ]


def test_both_unicode_forms_of_accents_pair(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "images/Lärche.jpg"), unicodedata.normalize("NFC", "masks/Lärche.png"))
    assert len(found(tmp_path, "images/{name}.jpg", "masks/{name}.png")) == 1


def test_the_image_pattern_may_have_more_placeholders(tmp_path):
    touch(tmp_path, "a/deep/x.jpg", "y.jpg", "masks/x.png", "masks/y.png")
    assert found(tmp_path, "**/*.jpg", "masks/{name}.png") == [
        ("y.jpg", "masks/y.png"),
        ("a/deep/x.jpg", "masks/x.png"),
    ]
    touch(tmp_path, "b/x.jpg")
    refused(tmp_path, "**/*.jpg", "masks/{name}.png", "b/x.jpg: a/deep/x.jpg is another image named 'x'")


def test_duplicate_names(tmp_path):
    touch(tmp_path, "images/a.jpg", "images/a.JPG", "masks/a.png")
    refused(tmp_path, "images/{name}.jpg", "masks/{name}.png", "images/a.jpg: images/a.JPG is another image", "'a'")
    (tmp_path / "images/a.JPG").unlink()
    touch(tmp_path, "masks/a.tif")
    refused(tmp_path, "images/{name}.jpg", "masks/{name}.*", "masks/a.tif: masks/a.png is another mask named 'a'")


def test_unpaired(tmp_path):
    touch(tmp_path, *(f"images/p{i}.jpg" for i in range(1, 13)), *(f"masks/p{i}.png" for i in range(4, 15)))
    pattern = "images/{name}.jpg", "masks/{name}.png"
    refused(tmp_path, *pattern, "images/p1.jpg: its mask masks/p1.png was not found (the first of 3 such images)")
    assert len(found(tmp_path, *pattern, skip=True)) == 9
    touch(tmp_path, *(f"masks/p{i}.png" for i in range(1, 4)))
    refused(tmp_path, *pattern, "masks/p13.png: its image images/p13.jpg was not found (the first of 2 such masks)")


@pytest.mark.parametrize("skip", [False, True])
def test_no_pair(tmp_path, skip):
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a_mask.png", "masks/b_mask.png")
    message = refused(tmp_path, "images/{name}.jpg", "masks/{name}.png", "images/a.jpg: its mask", skip=skip)
    assert "masks/a.png" in message and "2 files exist, most similar: 'masks/a_mask.png'" in message
    assert message.endswith("correct options.images or options.masks")


def test_no_match(tmp_path):
    touch(tmp_path, "Images/a.jpg", "Images/b.jpg", "masks/a.png", "readme.txt")
    refused(
        tmp_path, "images/{name}.jpg", "masks/{name}.png",
        f"{tmp_path}: no file matches options.images 'images/{{name}}.jpg'; 4 files exist, ",
        "4 files exist, most similar: 'Images/a.jpg'",
    )  # fmt: skip
    refused(tmp_path, "Images/*.jpg", "labels/*.png", "options.masks 'labels/*.png'", "most similar: 'masks/a.png'")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "images/*", "masks/*", "the folder has no files")
    refused(tmp_path / "nowhere", "images/*", "masks/*", "folder not found", "datasets.<name>.raw")


def test_unsupported_formats(tmp_path):
    touch(tmp_path, "images/a.bmp", "masks/a.png")
    refused(tmp_path, "images/{name}.*", "masks/{name}.*", "images/a.bmp: .bmp files are not supported; convert it")
    refused(tmp_path, "images/{name}.bmp", "masks/{name}.*", "images/a.bmp")


def test_unprintable_names(tmp_path):
    touch(tmp_path, "images/a\nb.png", "masks/a\nb.png")
    refused(tmp_path, "images/*", "masks/*", "a\\nb.png", "rename the file")


def test_many_files_are_fast(tmp_path, monkeypatch):
    names = [f"images/{i:05d}.jpg" for i in range(50_000)] + [f"masks/{i:05d}.png" for i in range(50_000)]
    monkeypatch.setattr("promptseg.datasets.folder.pairing.listing", lambda folder: names)
    assert len(found(tmp_path, "images/{name}.jpg", "masks/{name}.png")) == 50_000
    refused(tmp_path, "images/{name}.jpg", "masks/{name}_mask.png", "100,000 files exist, most similar")


@given(st.sets(st.text("ab0_. ", min_size=1, max_size=5).filter(lambda name: not name.startswith(".")), min_size=1))
def test_each_name_pairs_with_itself(names):
    with pytest.MonkeyPatch.context() as patch:
        files = sorted([f"i/{name}.png" for name in names] + [f"m/{name}_x.png" for name in names], reverse=True)
        patch.setattr("promptseg.datasets.folder.pairing.listing", lambda folder: files)
        paired = found(Path("folder"), "i/{name}.png", "m/{name}_x.png")
    assert paired == [(f"i/{name}.png", f"m/{name}_x.png") for name in sorted(names, key=natural)]
