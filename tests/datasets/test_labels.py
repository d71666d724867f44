"""Meaning of a user's masks: ids, colors, 0/1 and 0/255, soft edges; and errors where values have no meaning."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from promptseg.datasets.folder.labels import parse_labels
from promptseg.datasets.folder.mask_reader import MaskReader
from refusing import refused

GREEN, RED, BLACK, WHITE = (0, 128, 0), (200, 0, 0), (0, 0, 0), (255, 255, 255)
IDS = [[0, 1, 2, 2]]
COLORS = [[BLACK], [GREEN], [RED], [WHITE]]
ENDS = {"background": [[0, 0, 0], [255, 255, 255]]}


def save(path: Path, values, mode: str | None = None, palette=None) -> Path:
    image = Image.fromarray(np.asarray(values, np.uint8))
    if palette:
        image.putpalette(np.ravel(palette).tolist())
    (image.convert(mode) if mode else image).save(path)
    return path


def read(path: Path, **options) -> list:
    return MaskReader(parse_labels(**{"classes": None, **options})).add_file(path)().tolist()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    "values, stored, expected",
    [
        ([[0, 1], [1, 0]], {}, [[0, 1], [1, 0]]),
        ([[0, 255], [255, 0]], {}, [[0, 1], [1, 0]]),
        ([[255, 255]], {}, [[1, 1]]),
        ([[1, 1]], {}, [[1, 1]]),
        ([[0, 0]], {}, [[0, 0]]),
        (np.ones((1, 2, 3)), {}, [[1, 1]]),  # gray as RGB
        (np.full((1, 2, 3), 255), {}, [[1, 1]]),
        ([[0, 255]], {"mode": "1"}, [[0, 1]]),
    ],
)
def test_one_class_is_1_or_255(tmp_path, values, stored, expected, suffix):
    path = save(tmp_path / f"a.{suffix}", values, **stored)
    assert read(path) == read(path, classes=["spot"]) == expected


@pytest.mark.parametrize(
    "palette, expected", [([BLACK, WHITE], [[0, 1]]), ([WHITE, BLACK], [[1, 0]]), ([BLACK, (128, 0, 0)], [[0, 1]])]
)
def test_in_a_gray_palette_the_indices_are_not_ids(tmp_path, palette, expected):
    assert read(save(tmp_path / "a.png", [[0, 1]], palette=palette)) == expected


def test_all_masks_agree_on_1_or_255(tmp_path):
    masks = MaskReader(parse_labels(None))
    paths = [save(tmp_path / f"{i}.png", [[0, value]]) for i, value in enumerate((0, 255, 1, 255))]
    (tmp_path / "bad.png").write_bytes(b"")
    calls = [masks.add_file(path) for path in (tmp_path / "bad.png", *paths)]
    refused(calls[3], "2.png: it contains 1, but", "1.png contains 255; set options.classes: {object: [1, 255]}")
    assert [calls[i]().tolist() for i in (1, 2, 4)] == [[[0, 0]], [[0, 1]], [[0, 1]]]
    refused(calls[0], "bad.png")
    assert read(paths[2], classes={"object": [1, 255]}) == read(paths[3], classes={"object": [1, 255]}) == [[0, 1]]


def test_a_mask_with_soft_edges_does_not_decide_the_class_value(tmp_path):
    masks = MaskReader(parse_labels(None))
    rows = [list(range(10)), [0, 9, 20, 90, 128, 200, 230, 250, 255], [0, 255]]
    calls = [masks.add_file(save(tmp_path / f"{i}.png", [row])) for i, row in enumerate(rows)]
    assert calls[2]().tolist() == [[0, 1]]
    for call in calls[:2]:
        refused(call, "soft edges?")


def test_only_masks_up_to_the_deciding_one_are_read(tmp_path, monkeypatch):
    paths = [save(tmp_path / f"{i}.png", [[0, 255 * (i > 0)]]) for i in range(4)]
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file, **kind: opened.append(Path(file.name).name) or real(file, **kind))
    masks = MaskReader(parse_labels(None))
    calls = [masks.add_file(path) for path in paths]
    assert opened == []
    calls[3]()
    calls[2]()
    assert opened == ["3.png", "0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    "values, options, expected",
    [
        (IDS, {"classes": ["leaf", "spot"]}, [0, 1, 2, 2]),
        (IDS, {"classes": {"spot": 2, "leaf": 1}}, [0, 2, 1, 1]),
        (IDS, {"classes": {"plant": [1, 2]}}, [0, 1, 1, 1]),
        (IDS, {"classes": {"spot": 2}, "background": [0, 1]}, [0, 0, 1, 1]),
        (IDS, {"classes": {"spot": 2}, "ignore": 1}, [0, 255, 1, 1]),
        (IDS, {"classes": {"leaf": 1, "spot": 2}, "ignore": 0}, [255, 1, 2, 2]),
        (IDS, {"classes": {"ground": 0, "leaf": 1}, "background": 2}, [1, 2, 0, 0]),
        (IDS, {"classes": {"all": [0, 1, 2]}, "background": [], "values": "ids"}, [1, 1, 1, 1]),
        ([[0, 1, 255]], {"classes": ["a"], "ignore": 255}, [0, 1, 255]),
        ([[0, 1, 2, 77]], {"classes": {"leaf": 2}, "others": "background"}, [0, 0, 1, 0]),
        ([[0, 1, 2, 77]], {"classes": {"leaf": 2}, "others": "ignore"}, [0, 255, 1, 255]),
        ([[0, 1, 2, 77]], {"classes": ["leaf"], "others": "background"}, [0, 1, 0, 0]),
        ([[0, 1, 2, 77]], {"classes": ["leaf"], "others": "ignore"}, [0, 1, 255, 255]),
        ([[GREEN, RED, (1, 2, 3)]], {"classes": {"leaf": "#008000"}, "others": "background"}, [1, 0, 0]),
        ([[GREEN, RED, (1, 2, 3)]], {"classes": {"leaf": "#008000"}, "others": "ignore"}, [1, 255, 255]),
        (COLORS, {"classes": {"leaf": "#008000", "spot": "#C80000"}, **ENDS}, [0, 1, 2, 0]),
        (COLORS, {"classes": {"leaf": [0, 128, 0], "spot": [200, 0, 0]}, **ENDS}, [0, 1, 2, 0]),
        (COLORS, {"classes": {"plant": ["#008000", [200, 0, 0]]}, "ignore": "#ffffff"}, [0, 1, 1, 255]),
        (COLORS, {"classes": {"leaf": [0, 128, 0]}, "values": "colors", "ignore": [200, 0, 0],
                  "background": "#ffffff", "others": "background"}, [0, 1, 255, 0]),
        ([[0, 255]], {"classes": {"leaf": "#ffffff"}}, [0, 1]),
        ([[0, 90, 128, 255]], {"threshold": 128}, [0, 0, 1, 1]),
        ([[0, 90, 128, 255]], {"threshold": 1, "classes": ["polyp"]}, [0, 1, 1, 1]),
    ],
)  # fmt: skip
def test_values_have_the_meaning_that_options_state(tmp_path, values, options, expected):
    assert np.ravel(read(save(tmp_path / "a.png", values), **options)).tolist() == expected


def test_a_jpeg_needs_a_threshold_also_in_a_tiff(tmp_path):
    image = Image.fromarray(np.repeat([[0, 255]] * 16, 16, axis=1).astype(np.uint8))
    image.save(tmp_path / "b.jpg")
    image.save(tmp_path / "b.tif", compression="jpeg")
    for path in (tmp_path / "b.jpg", tmp_path / "b.tif"):
        refused(partial(read, path), f"{path}: a JPEG blurs the labels of a mask", "options.threshold: 128")
        assert read(path, threshold=128) == [[0] * 16 + [1] * 16] * 16
    (tmp_path / "b.jpg").rename(tmp_path / "c.png")  # whatever its name says
    refused(partial(read, tmp_path / "c.png", classes={"leaf": "#ffffff"}), "c.png: a JPEG blurs")


@pytest.mark.parametrize(
    "values, options, words",
    [
        ([[0, 1]], {"threshold": 128}, ("values are 0 and 1", "remove threshold")),
        ([[0, 128, 255, 255]], {"classes": ["spot"]}, (
            "a.png: values 0, 128, 255: 128 (1 pixel) is unknown, known are 0, 255; set options.classes: {spot: 128}, "
            "ignore: 128 or background: [0, 128]",)),
        ([[0, 1, 255]], {}, ("values 0, 1, 255: 255 (1 pixel) is unknown",)),
        ([[7, 7]], {}, ("value 7: 7 (2 pixels) is unknown, known are 0",)),
        ([[0, 2, 255]], {"classes": ["a", "b"]}, ("255 (1 pixel) is unknown, known are 0, 1, 2",)),
        ([range(0, 256, 15)], {"classes": ["spot"]}, (
            "0, 15, 30", "soft edges? set options.threshold: 128", "255 are spot")),
        ([range(0, 256, 15)], {"classes": ["a", "b"]}, ("soft edges?", "without smoothing", "options.others: ignore")),
        ([range(7)], {}, ("values 0, 1, 2, 3, 4, 5, 6: 2 (1 pixel) is unknown",)),  # few values are no soft edge
        ([range(8)], {}, ("values are 0, 1, 2, 3, 4, 5, 6, 7: soft edges?",)),
        ([[(0, step, 0) for step in range(0, 129, 16)]], {"classes": {"leaf": "#008000"}}, (
            "more colors", "list only #008000, #000000", "soft edges?")),
        ([[GREEN, RED, RED]], {"classes": {"leaf": "#008000"}}, (
            "a.png: it contains #c80000 at 2 pixels, but", "#008000, #000000")),
        ([[GREEN, RED, RED]], {"classes": ["leaf", "spot"]}, (
            "it holds colors (#008000, #c80000", "options.classes: {name:")),
    ],
)  # fmt: skip
def test_values_without_meaning_are_refused(tmp_path, values, options, words):
    refused(partial(read, save(tmp_path / "a.png", values), **options), *words)


def test_other_files_are_refused(tmp_path):
    refused(partial(read, tmp_path / "none.png"), "none.png: not found")
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(tmp_path / "wide.png")
    refused(partial(read, tmp_path / "wide.png"), "wide.png: its values are 0, 300", "options.instances: true")
    refused(
        partial(read, tmp_path / "wide.png", classes=["a", "b"]), "its values are 0, 300: save the classes as 0 to 255"
    )


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        ([], {}, "classes: a list of 1 to 253 names"), ("leaf", {}, "classes: a list of 1 to 253 names"),
        ([f"c{i}" for i in range(254)], {}, "1 to 253"), ([True], {}, "classes: True is not a name"),
        ({" ": 1}, {}, "is not a name"), (["a", "a"], {}, "a name is listed twice"),
        ({"a": None}, {}, "classes.a: None is not an id from 0 to 255"),
        ({"a": None}, {}, "a color needs quotes: '#3c8c3c'"), ({"a": 256}, {}, "classes.a: 256 is not an id"),
        ({"a": True}, {}, "classes.a: True"), ({"a": 1.0}, {}, "classes.a: 1.0"),
        ({"a": "green"}, {}, "classes.a: 'green' is not an id"), ({"a": []}, {}, "a class has an empty list"),
        ({"a": [[1, 2]]}, {}, "[1, 2] is not a color"), ({"a": [1, "#000001"]}, {}, "classes.a: 1 is not an id"),
        ({"a": 1, "b": "#000001"}, {}, "ids and colors are mixed"),
        ({"a": 1}, {"values": "colors"}, "ids and colors are mixed"),
        ({"a": [1, 2, 3]}, {}, "set values: ids or values: colors"),
        ({"a": 1, "b": [1, 2]}, {}, "classes.b: 1 is classes.a already"),
        ({"a": 0}, {}, "0 is classes.a already (background is 0 or black unless stated)"),
        ({"a": "#000000"}, {}, "#000000 is classes.a already"),
        (["a", "b"], {"ignore": "#ff0000"}, "each class needs one"),
        (["a", "b"], {"threshold": 9}, "threshold: only for one class"),
        ({"a": 1}, {"threshold": 9}, "threshold: only for one class"),
        (None, {"threshold": 9, "ignore": 3}, "without background, ignore"),
        (None, {"ignore": 2, "background": [0, 2]}, "ignore: 2 is background already"),
    ],
)  # fmt: skip
def test_inconsistent_options(classes, options, words):
    with pytest.raises(ValueError) as error:
        parse_labels(classes, **options)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_lists_of_three_numbers_follow_the_other_entries():
    assert parse_labels({"a": [1, 2, 3], "b": 4}).table == {1: 1, 2: 1, 3: 1, 4: 2, 0: 0}
    assert parse_labels({"a": [1, 2, 3]}, values="ids").table == {1: 1, 2: 1, 3: 1, 0: 0}
    assert parse_labels({"a": [1, 2, 3], "b": "#000004"}).table == {0x010203: 1, 4: 2, 0: 0}
    assert parse_labels({"a": [[1, 2, 3]]}).table == {0x010203: 1, 0: 0}
    assert len(parse_labels([f"c{i}" for i in range(253)]).names) == 253


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0, 1, 2, 254, 255]), min_size=1, max_size=4))
def test_one_class_is_exact_or_an_error(values):
    masks = MaskReader(parse_labels(None))
    read = masks.add(lambda: np.array([values], np.uint8), "m")
    if set(values) <= {0, 1} or set(values) <= {0, 255}:
        assert read().tolist() == [[int(value > 0) for value in values]]
    else:
        refused(read, "m: ")
