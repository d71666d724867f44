"""Pascal Context: the reader on tiny files in both layouts, damaged ones, the download."""

from pathlib import Path

import numpy as np
import pytest
from fake_download import faked
from PIL import Image
from promptseg import datasets
from promptseg.data import image_io
from promptseg.datasets.pascal_context import reader as pascal_context
from refusing import refused
from scipy.io import savemat

NAMES = {"train": ("2008_000002", "2009_000017"), "val": ("2008_000003",)}
MAPS = {  # of each image, 2x3: the second is empty but for a label beyond the 59
    "2008_000002": [[2, 9, 458], [0, 1, 459]],
    "2009_000017": [[1, 1, 1], [1, 1, 1]],
    "2008_000003": [[420, 420, 360], [427, 189, 308]],
}
EXPECTED = [[1, 2, 59], [255, 255, 255]]
FIRST = "2008_000002"


def build(folder: Path, png: bool = False, root: str = "VOCdevkit/VOC2010") -> Path:
    """Write the images with their maps as released, or as toolboxes convert them."""
    home = folder / root
    lists = home / "ImageSets" / ("SegmentationContext" if png else "Main")
    maps = home / "SegmentationClassContext" if png else folder / "trainval"
    for each in (home / "JPEGImages", lists, maps):
        each.mkdir(parents=True)
    for split, names in NAMES.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            Image.new("RGB", (3, 2), (90, 80, 70)).save(home / f"JPEGImages/{name}.jpg")
            if png:
                values = pascal_context._MAT_LABELS[np.array(MAPS[name])]
                Image.fromarray(np.where(values == 255, 0, values).astype(np.uint8)).save(maps / f"{name}.png")
            else:
                savemat(maps / f"{name}.mat", {"LabelMap": np.array(MAPS[name], np.uint16)})
    return folder


def first_mask(folder: Path):
    return next(pascal_context.read(folder)).mask()


@pytest.mark.parametrize("root", ["", "VOC2010", "VOCdevkit", "VOCdevkit/VOC2010"])
@pytest.mark.parametrize("png", [False, True])
def test_layouts(tmp_path, png, root):
    build(tmp_path, png, root)
    datasets.verify(pascal_context, tmp_path)
    samples = list(pascal_context.read(tmp_path))
    assert [(each.id, each.split) for each in samples] == [
        ("2008_000002", "train"), ("2009_000017", "train"), ("2008_000003", "test"),
    ]  # fmt: skip
    assert [each.mask().tolist() for each in samples[:2]] == [EXPECTED, [[255] * 3] * 2]
    names = [pascal_context.CLASSES[label - 1] for label in samples[2].mask().ravel()]
    assert names == ["tree", "tree", "sky", "tvmonitor", "ground", "pottedplant"]
    assert samples[0].image().shape == (2, 3, 3) and samples[0].mask().dtype == np.uint8


def test_the_classes_are_in_the_order_of_their_names_and_of_their_numbers():
    assert len(pascal_context.CLASSES) == 59 and list(pascal_context.CLASSES) == sorted(pascal_context.CLASSES)
    assert list(pascal_context.NUMBERS.values()) == sorted({*pascal_context.NUMBERS.values()})


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float64])
def test_maps_of_any_type_of_number_are_read(tmp_path, kind):
    build(tmp_path)
    savemat(tmp_path / f"trainval/{FIRST}.mat", {"LabelMap": np.array([[2, 9, 65], [0, 1, 98]]).astype(kind)})
    assert first_mask(tmp_path).tolist() == [[1, 2, 15], [255, 255, 20]]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"LabelMap": np.array([[2, 460, 461]])}, ["the mask holds 460 at 2 pixels", "labels are 0 to 459"]),
        ({"LabelMap": np.array([[2.0, np.nan]])}, ["the mask holds nan at 1 pixels"]),
        ({"Other": np.zeros((2, 3))}, ["no LabelMap can be read"]),
        ({"LabelMap": "words"}, ["LabelMap is no map of numbers"]),
    ],
)
def test_a_map_that_is_wrong_is_named(tmp_path, written, words):
    path = build(tmp_path) / f"trainval/{FIRST}.mat"
    savemat(path, written)
    refused(lambda: first_mask(tmp_path), path, *words)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", b"\x00" * 300])
def test_a_damaged_map_is_named(tmp_path, content):
    path = build(tmp_path) / f"trainval/{FIRST}.mat"
    path.write_bytes(content)
    refused(lambda: first_mask(tmp_path), path, "no LabelMap can be read")


def test_a_map_of_another_size_than_its_image_is_named(tmp_path):
    path = build(tmp_path) / f"trainval/{FIRST}.mat"
    savemat(path, {"LabelMap": np.ones((5, 3))})
    sample = next(pascal_context.read(tmp_path))
    shapes = sample.image().shape, sample.mask().shape
    refused(lambda: image_io.check_same_size(*shapes, *sample.names), path, f"{FIRST}.jpg is 3x2", "is 3x5")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (f"trainval/{FIRST}.mat", [f"trainval/{FIRST}.mat: not found, the mask of {FIRST}.jpg"]),
        (f"VOCdevkit/VOC2010/JPEGImages/{FIRST}.jpg", [f"{FIRST}.jpg: not found, the image of {FIRST}.mat"]),
        ("VOCdevkit/VOC2010/ImageSets/Main/val.txt", ["Main/val.txt: not found"]),
    ],
)
def test_a_missing_file_is_named(tmp_path, file, words):
    (build(tmp_path) / file).unlink()
    refused(lambda: datasets.verify(pascal_context, tmp_path), tmp_path, *words)


def test_without_any_labels_it_is_said_which_archive_has_them(tmp_path):
    (build(tmp_path) / "trainval").rename(tmp_path / "away")
    refused(lambda: datasets.verify(pascal_context, tmp_path), "trainval", "unpack trainval.tar.gz")


def test_images_in_neither_list_and_listed_ones_that_are_not_here_are_left_out(tmp_path):
    home = build(tmp_path) / "VOCdevkit/VOC2010"
    (home / "ImageSets/Main/train.txt").write_text(f"{FIRST}\n2010_000001\n")
    assert [each.id for each in pascal_context.read(tmp_path)] == [FIRST, "2008_000003"]
    (home / "ImageSets/Main/train.txt").write_text("2010_000001\n")
    (home / "ImageSets/Main/val.txt").write_text("2010_000002\n")
    refused(lambda: datasets.verify(pascal_context, tmp_path), "no listed image with labels")


def test_labels_txt_must_have_the_numbers_of_the_maps(tmp_path):
    lines = [f"{number}: {name}" for name, number in pascal_context.NUMBERS.items()]
    (build(tmp_path) / "labels.txt").write_text("\n".join(["1: accordion", *lines, "459: wool"]))
    datasets.verify(pascal_context, tmp_path)
    (tmp_path / "labels.txt").write_text("\n".join(["1: aeroplane", *lines[1:]]))
    refused(lambda: datasets.verify(pascal_context, tmp_path), tmp_path / "labels.txt", "aeroplane is not 2")


def test_download(tmp_path, monkeypatch):
    def unpack(archive, folder):
        if archive.name == "trainval.tar.gz":
            build(folder / "whole")
            (folder / "whole/trainval").rename(folder / "trainval")
        else:
            (folder / "whole/VOCdevkit").rename(folder / "VOCdevkit")
            (folder / "VOCdevkit/VOC2010/Annotations").mkdir()

    requested = faked(monkeypatch, unpack)
    pascal_context.download(tmp_path)
    assert requested == [
        (pascal_context.LABELS_URL, {}), (pascal_context.IMAGES_URL, {"md5": pascal_context.IMAGES_MD5}),
    ]  # fmt: skip
    assert not (tmp_path / "VOCdevkit/VOC2010/Annotations").exists() and not list(tmp_path.glob("*.tar*"))
    assert len(list(pascal_context.read(tmp_path))) == 3
