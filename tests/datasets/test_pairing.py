"""Pairing by name: images and masks in unusual layouts, and errors for files that do not pair."""

import unicodedata
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.data.file_names import natural
from promptseg.datasets.folder import pairing
from promptseg.datasets.folder.patterns import Pattern
from refusing import refused

JPG, PNG = "images/{name}.jpg", "masks/{name}.png"
GT = "{name}.tif", "{name}_gt.tif"
SPLITS = "images/{split}/{name}.png", "masks/{split}/{name}.png"
ACCENTS = [unicodedata.normalize("NFD", "images/Lärche.jpg"), unicodedata.normalize("NFC", "masks/Lärche.png")]


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def found(folder: Path, images: str, masks: str, skip: bool = False) -> list[str]:
    """Image, mask, image, mask, ..."""
    pairs = pairing.pair(folder, Pattern(images), Pattern(masks), skip).pairs
    return [path for pair in pairs for path in (pair.image, *pair.masks)]


@pytest.mark.parametrize(
    "patterns, paired, others",
    [
        (("images/{name}.*", "masks/{name}.*"), [
            "images/P2.jpg", "masks/P2.tif", "images/p9.png", "masks/p9.png", "images/p10.jpg", "masks/p10.png",
        ], []),
        (("**/images/*", "**/masks/*"), ["images/a.jpg", "masks/a.png"], [
            "images/Thumbs.db", "images/notes.txt", "masks/.a.png", ".x/b.png", "__MACOSX/images/b.jpg",
            "images/._a.jpg",
        ]),
        (GT, ["a.tif", "a_gt.tif", "a_gt_gt.tif", "a_gt_gt_gt.tif", "b.tif", "b_gt.tif"], []),
        (("{name}_rgb.png", "{name}.png"), ["a_rgb.png", "a.png", "b_rgb.png", "b.png"], []),
        (SPLITS, ["images/test/a.png", "masks/Test Set/a.png", "images/Train/a.png", "masks/training/a.png"], []),
        ((JPG, PNG), ACCENTS, []),
        (("**/*.jpg", PNG), ["y.jpg", "masks/y.png", "a/deep/x.jpg", "masks/x.png"], []),
    ],
    ids=["natural order", "hidden", "mask like an image", "image like a mask", "splits", "accents", "placeholders"],
)  # fmt: skip
def test_images_and_masks_pair_by_name(tmp_path, patterns, paired, others):
    touch(tmp_path, *paired, *others)
    assert found(tmp_path, *patterns) == paired


def test_listing_leaves_out_hidden_files(tmp_path):
    touch(tmp_path, "images/Thumbs.db", "images/a.jpg", "masks/.a.png", ".x/b.png", "__MACOSX/a.jpg", "b.png")
    assert pairing.listing(tmp_path) == ["b.png", "images/Thumbs.db", "images/a.jpg"]


@pytest.mark.parametrize(
    "files, patterns, words",
    [
        (["a.tif", "a_gt.tif", "b_gt.tif"], GT, ["b_gt.tif: its image b.tif was not found"]),
        (["a.tif", "a_gt.tif", "b.tif"], GT, [
            "b.tif: its mask b_gt.tif was not found; add it", "options.unpaired: skip"]),
        (["a_rgb.png", "a.png", "b_rgb.png"], ("{name}_rgb.png", "{name}.png"), [
            "b_rgb.png: its mask b.png was not found"]),
        (["a/deep/x.jpg", "b/x.jpg", "masks/x.png"], ("**/*.jpg", PNG), [
            "b/x.jpg: a/deep/x.jpg is another image named 'x'"]),
        (["images/a.jpg", "images/a.JPG", "masks/a.png"], (JPG, PNG), [
            "images/a.jpg: images/a.JPG is another image", "'a'"]),
        (["images/a.jpg", "masks/a.png", "masks/a.tif"], (JPG, "masks/{name}.*"), [
            "masks/a.tif: masks/a.png is another mask named 'a'"]),
        (["Images/a.jpg", "Images/b.jpg", "masks/a.png", "readme.txt"], (JPG, PNG), [
            ": no file matches options.images 'images/{name}.jpg'; 4 files exist, most similar: 'Images/a.jpg'"]),
        (["Images/a.jpg", "masks/a.png"], ("Images/*.jpg", "labels/*.png"), [
            "options.masks 'labels/*.png'", "most similar: 'masks/a.png'"]),
        ([], ("images/*", "masks/*"), ["the folder has no files"]),
        (["images/a.bmp", "masks/a.png"], ("images/{name}.*", "masks/{name}.*"), [
            "images/a.bmp: .bmp files are not supported; convert it"]),
        (["images/a.bmp", "masks/a.png"], ("images/{name}.bmp", "masks/{name}.*"), ["images/a.bmp"]),
        (["images/a\nb.png", "masks/a\nb.png"], ("images/*", "masks/*"), ["a\\nb.png", "rename the file"]),
    ],
)  # fmt: skip
def test_files_that_do_not_pair_are_named(tmp_path, files, patterns, words):
    touch(tmp_path, *files)
    refused(partial(found, tmp_path, *patterns), tmp_path, *words)


def test_a_missing_folder_names_the_option(tmp_path):
    refused(partial(found, tmp_path / "nowhere", JPG, PNG), "folder not found", "datasets.<name>.raw")


def test_unpaired_files_are_counted_or_skipped(tmp_path):
    touch(tmp_path, *(f"images/p{i}.jpg" for i in range(9, 21)), *(f"masks/p{i}.png" for i in range(12, 23)))
    find = partial(found, tmp_path, JPG, PNG)
    refused(find, "images/p9.jpg: its mask masks/p9.png was not found (the first of 3 such images)")
    assert len(find(skip=True)) == 2 * 9
    touch(tmp_path, *(f"masks/p{i}.png" for i in range(9, 12)))
    refused(find, "masks/p21.png: its image images/p21.jpg was not found (the first of 2 such masks)")


@pytest.mark.parametrize("skip", [False, True])
def test_where_nothing_pairs_the_patterns_are_wrong(tmp_path, skip):
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a_mask.png", "masks/b_mask.png")
    refused(
        partial(found, tmp_path, JPG, PNG, skip), "images/a.jpg: its mask masks/a.png", "(the first of 2 such images)",
        "2 files exist, most similar: 'masks/a_mask.png'", "; correct options.images or options.masks",
    )  # fmt: skip


def test_many_files_are_fast(monkeypatch):
    """A comparison of each with each, or of all names, would take minutes."""
    names = [f"images/{i:05d}.jpg" for i in range(11_000)] + [f"masks/{i:05d}.png" for i in range(11_000)]
    monkeypatch.setattr(pairing, "listing", lambda folder: names)
    assert len(found(Path("folder"), JPG, PNG)) == 22_000
    compared, ratio = [], pairing.difflib.SequenceMatcher.ratio
    monkeypatch.setattr(pairing.difflib.SequenceMatcher, "ratio", lambda self: compared.append(1) or ratio(self))
    refused(partial(found, Path("folder"), JPG, "masks/{name}_mask.png"), "22,000 files exist, most similar")
    assert len(compared) <= 3000


@settings(max_examples=30)
@given(st.sets(st.text("ab0_. ", min_size=1, max_size=5).filter(lambda name: not name.startswith(".")), min_size=1))
def test_each_name_pairs_with_itself(names):
    with pytest.MonkeyPatch.context() as patch:
        files = sorted([f"i/{name}.png" for name in names] + [f"m/{name}_x.png" for name in names], reverse=True)
        patch.setattr(pairing, "listing", lambda folder: files)
        paired = found(Path("folder"), "i/{name}.png", "m/{name}_x.png")
    assert paired == [path for name in sorted(names, key=natural) for path in (f"i/{name}.png", f"m/{name}_x.png")]
