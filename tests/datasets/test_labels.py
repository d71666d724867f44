"""Meaning of a user's masks: ids, colors, 0/1 and 0/255, soft edges; and errors where values have no meaning."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from promptseg.datasets.folder.labels import parse_labels
from promptseg.datasets.folder.mask_reader import MaskReader
from refusing import refused

GREEN, RED = (0, 128, 0), (200, 0, 0)


def save(path: Path, values, mode: str | None = None, palette: list[int] | None = None) -> Path:
    image = Image.fromarray(np.asarray(values, np.uint8))
    if palette:
        image.putpalette(palette)
    (image.convert(mode) if mode else image).save(path)
    return path


def read(path: Path, **options) -> list:
    return MaskReader(parse_labels(**{"classes": None, **options})).add_file(path)().tolist()


def colors(*rows) -> np.ndarray:
    return np.array(rows, np.uint8)


@pytest.mark.parametrize("value", [1, 255])
def test_one_class_is_1_or_255(tmp_path, value):
    assert read(save(tmp_path / "a.png", [[0, value], [value, 0]])) == [[0, 1], [1, 0]]
    assert read(save(tmp_path / "b.tif", [[value, value]]), classes=["spot"]) == [[1, 1]]
    assert read(save(tmp_path / "c.png", [[0, 0]])) == [[0, 0]]
    assert read(save(tmp_path / "d.png", np.full((1, 2, 3), value))) == [[1, 1]]  # gray as RGB


def test_one_class_in_one_bit_or_palette_masks(tmp_path):
    assert read(save(tmp_path / "a.png", [[0, 255]], "1")) == [[0, 1]]
    black, white = [0, 0, 0], [255, 255, 255]
    assert read(save(tmp_path / "b.png", [[0, 1]], palette=black + white)) == [[0, 1]]
    assert read(save(tmp_path / "c.png", [[0, 1]], palette=white + black)) == [[1, 0]]  # 0 stands for white
    assert read(save(tmp_path / "d.png", [[0, 1]], palette=[*black, 128, 0, 0])) == [[0, 1]]


def test_all_masks_agree_on_1_or_255(tmp_path):
    masks = MaskReader(parse_labels(None))
    paths = [
        save(tmp_path / f"{i}.png", values) for i, values in enumerate(([[0, 0]], [[0, 255]], [[0, 1]], [[0, 255]]))
    ]
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
    assert opened == ["3.png", "0.png", "1.png"]
    calls[2]()
    assert opened[3:] == ["2.png"]


def test_ids(tmp_path):
    path = save(tmp_path / "a.png", [[0, 1, 2, 2]])
    assert read(path, classes=["leaf", "spot"]) == [[0, 1, 2, 2]]
    assert read(path, classes={"spot": 2, "leaf": 1}) == [[0, 2, 1, 1]]
    assert read(path, classes={"plant": [1, 2]}) == [[0, 1, 1, 1]]
    assert read(path, classes={"spot": 2}, background=[0, 1]) == [[0, 0, 1, 1]]
    assert read(path, classes={"spot": 2}, ignore=1) == [[0, 255, 1, 1]]
    assert read(path, classes={"leaf": 1, "spot": 2}, ignore=0) == [[255, 1, 2, 2]]
    assert read(path, classes={"ground": 0, "leaf": 1}, background=2) == [[1, 2, 0, 0]]
    assert read(path, classes={"all": [0, 1, 2]}, background=[], values="ids") == [[1, 1, 1, 1]]
    assert read(save(tmp_path / "v.png", [[0, 1, 255]], palette=[9, 9, 9] * 256), classes=["a", "b"], ignore=255) == [
        [0, 1, 255]
    ]
    assert read(save(tmp_path / "w.png", [[0, 1, 255]]), classes=["a"], ignore=255) == [[0, 1, 255]]


@pytest.mark.parametrize(("others", "value"), [("background", 0), ("ignore", 255)])
def test_option_others(tmp_path, others, value):
    path = save(tmp_path / "a.png", [[0, 1, 2, 77]])
    assert read(path, classes={"leaf": 2}, others=others) == [[0, value, 1, value]]
    assert read(path, classes=["leaf"], others=others) == [[0, 1, value, value]]
    colored = save(tmp_path / "b.png", colors([GREEN, RED, (1, 2, 3)]))
    assert read(colored, classes={"leaf": "#008000"}, others=others) == [[1, value, value]]


def test_colors(tmp_path):
    path = save(tmp_path / "a.png", colors([(0, 0, 0), GREEN, RED, (255, 255, 255)]))
    options = {"background": [[0, 0, 0], [255, 255, 255]]}
    assert read(path, classes={"leaf": "#008000", "spot": "#C80000"}, **options) == [[0, 1, 2, 0]]
    assert read(path, classes={"leaf": [0, 128, 0], "spot": [200, 0, 0]}, **options) == [[0, 1, 2, 0]]
    assert read(path, classes={"plant": ["#008000", [200, 0, 0]]}, ignore="#ffffff") == [[0, 1, 1, 255]]
    assert read(path, classes={"leaf": [0, 128, 0]}, values="colors", ignore=[200, 0, 0], background="#ffffff",
                others="background") == [[0, 1, 255, 0]]  # fmt: skip
    indexed = save(tmp_path / "b.png", [[0, 1]], palette=[0, 0, 0, *GREEN])
    assert read(indexed, classes={"leaf": "#008000"}) == [[0, 1]]
    assert read(save(tmp_path / "c.png", [[0, 255]]), classes={"leaf": "#ffffff"}) == [[0, 1]]


def test_threshold(tmp_path):
    path = save(tmp_path / "a.png", [[0, 90, 128, 255]])
    assert read(path, threshold=128) == [[0, 0, 1, 1]]
    assert read(path, threshold=1, classes=["polyp"]) == [[0, 1, 1, 1]]
    Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 16, axis=1).repeat(16, axis=0)).save(tmp_path / "b.jpg")
    refused(lambda: read(tmp_path / "b.jpg"), "b.jpg: a JPEG blurs the labels of a mask", "options.threshold: 128")
    assert set(map(tuple, read(tmp_path / "b.jpg", threshold=128))) == {(0,) * 16 + (1,) * 16}
    (tmp_path / "c.png").write_bytes((tmp_path / "b.jpg").read_bytes())  # whatever its name says
    refused(lambda: read(tmp_path / "c.png", classes={"leaf": "#ffffff"}), "c.png: a JPEG blurs")
    refused(lambda: read(save(tmp_path / "d.png", [[0, 1]]), threshold=128), "values are 0 and 1", "remove threshold")


def test_values_without_meaning(tmp_path):
    refused(
        lambda: read(save(tmp_path / "a.png", [[0, 128, 255, 255]]), classes=["spot"]),
        "a.png: values 0, 128, 255: 128 (1 pixel) is unknown, known are 0, 255; set options.classes: {spot: 128}, "
        "ignore: 128 or background: [0, 128]",
    )
    refused(lambda: read(save(tmp_path / "b.png", [[0, 1, 255]])), "values 0, 1, 255: 255 (1 pixel) is unknown")
    refused(lambda: read(save(tmp_path / "c.png", [[7, 7]])), "value 7: 7 (2 pixels) is unknown, known are 0")
    refused(
        lambda: read(save(tmp_path / "d.png", [[0, 2, 255]]), classes=["a", "b"]),
        "255 (1 pixel) is unknown, known are 0, 1, 2",
    )


def test_soft_edges(tmp_path):
    soft = save(tmp_path / "a.png", [list(range(0, 256, 15))])
    refused(lambda: read(soft, classes=["spot"]), "0, 15, 30", "soft edges? set options.threshold: 128", "255 are spot")
    refused(lambda: read(soft, classes=["a", "b"]), "soft edges?", "without smoothing", "options.others: ignore")
    blurred = save(tmp_path / "b.png", colors([(0, step, 0) for step in range(0, 128, 16)] + [GREEN]))
    refused(
        lambda: read(blurred, classes={"leaf": "#008000"}),
        "more colors",
        "list only #008000, #000000",
        "soft edges?",
    )


def test_colors_without_meaning(tmp_path):
    path = save(tmp_path / "a.png", colors([GREEN, RED, RED]))
    refused(
        lambda: read(path, classes={"leaf": "#008000"}),
        "a.png: it contains #c80000 at 2 pixels, but",
        "#008000, #000000",
    )
    refused(
        lambda: read(path, classes=["leaf", "spot"]), "it holds colors (#008000, #c80000", "options.classes: {name:"
    )
    refused(lambda: read(tmp_path / "none.png"), "none.png: not found")
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(tmp_path / "wide.png")
    refused(lambda: read(tmp_path / "wide.png"), "wide.png", "one 8-bit label a pixel")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": []}, "classes: a list of 1 to 253 names"),
        ({"classes": "leaf"}, "classes: a list of 1 to 253 names"),
        ({"classes": [f"c{i}" for i in range(254)]}, "1 to 253"),
        ({"classes": [True]}, "classes: True is not a name"),
        ({"classes": {" ": 1}}, "is not a name"),
        ({"classes": ["a", "a"]}, "a name is listed twice"),
        ({"classes": {"a": None}}, "classes.a: None is not an id from 0 to 255", ),
        ({"classes": {"a": None}}, "a color needs quotes: '#3c8c3c'"),
        ({"classes": {"a": 256}}, "classes.a: 256 is not an id"),
        ({"classes": {"a": True}}, "classes.a: True"),
        ({"classes": {"a": 1.0}}, "classes.a: 1.0"),
        ({"classes": {"a": "green"}}, "classes.a: 'green' is not an id"),
        ({"classes": {"a": []}}, "a class has an empty list"),
        ({"classes": {"a": [[1, 2]]}}, "[1, 2] is not a color"),
        ({"classes": {"a": [1, "#000001"]}}, "classes.a: 1 is not an id"),
        ({"classes": {"a": 1, "b": "#000001"}}, "ids and colors are mixed"),
        ({"classes": {"a": 1}, "values": "colors"}, "ids and colors are mixed"),
        ({"classes": {"a": [1, 2, 3]}}, "set values: ids or values: colors"),
        ({"classes": {"a": 1, "b": [1, 2]}}, "classes.b: 1 is classes.a already"),
        ({"classes": {"a": 0}}, "0 is classes.a already (background is 0 or black unless stated)"),
        ({"classes": {"a": "#000000"}}, "#000000 is classes.a already"),
        ({"classes": ["a", "b"], "ignore": "#ff0000"}, "each class needs one"),
        ({"classes": ["a", "b"], "threshold": 9}, "threshold: only for one class"),
        ({"classes": {"a": 1}, "threshold": 9}, "threshold: only for one class"),
        ({"threshold": 9, "ignore": 3}, "without background, ignore"),
        ({"ignore": 2, "background": [0, 2]}, "ignore: 2 is background already"),
    ],
)  # fmt: skip
def test_inconsistent_options(options, words):
    with pytest.raises(ValueError) as error:
        parse_labels(**{"classes": None, **options})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_lists_of_three_numbers_follow_the_other_entries():
    assert parse_labels({"a": [1, 2, 3], "b": 4}).table == {1: 1, 2: 1, 3: 1, 4: 2, 0: 0}
    assert parse_labels({"a": [1, 2, 3]}, values="ids").table == {1: 1, 2: 1, 3: 1, 0: 0}
    assert parse_labels({"a": [1, 2, 3], "b": "#000004"}).table == {0x010203: 1, 4: 2, 0: 0}
    assert parse_labels({"a": [[1, 2, 3]]}).table == {0x010203: 1, 0: 0}


@given(st.lists(st.integers(0, 255), min_size=1, max_size=30))
def test_one_class_is_exact_or_an_error(values):
    masks = MaskReader(parse_labels(None))
    read = masks.add(lambda: np.array([values], np.uint8), "m")
    if set(values) <= {0, 1} or set(values) <= {0, 255}:
        assert read().tolist() == [[int(value > 0) for value in values]]
    else:
        refused(read, "m: ")
