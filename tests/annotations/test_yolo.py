"""YOLO segmentation: pixels of a file checked by hand, where class names are, and one line for what is wrong."""

from pathlib import Path

import pytest
from promptseg.annotations import recognize, yolo
from promptseg.annotations.rasterize import in_pixels, rasterize
from refusing import refused

TRIANGLE = "0 0 0 0.5 0 0.5 0.5"


def write(folder: Path, text: str, names: str | None = "names: [leaf, spot]", place="labels") -> Path:
    (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / place / "p.txt").write_text(text)
    if names is not None:
        (folder / "data.yaml").write_text(names)
    return folder / place / "p.txt"


def test_a_file_checked_by_hand(tmp_path):
    # 8 x 5 pixels: a ring with a hole, by a bridge from its corner, and a class on top that leaves the image.
    ring = [(0, 0), (7, 0), (7, 5), (0, 5), (0, 0), (2, 2), (2, 4), (5, 4), (5, 2), (2, 2)]
    lines = [
        "0 " + " ".join(f"{x / 8:.6f} {y / 5:.6f}" for x, y in ring),
        "",
        "1 0.75 -0.4 1.25 -0.4 1.25 0.4 0.75 0.4  ",
    ]
    path = write(tmp_path, "\n".join(lines))
    assert recognize(path) is yolo and yolo.classes(path) == ["leaf", "spot"]
    (found,) = yolo.read(path)
    assert found.image == "" and found.normalized and found.height is None
    mask, instances = rasterize(in_pixels(found, 5, 8), {"leaf": 1, "spot": 2}, 5, 8, str(path))
    assert mask.tolist() == [
        [1, 1, 1, 1, 1, 1, 2, 2],
        [1, 1, 1, 1, 1, 1, 2, 2],
        [1, 1, 0, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1, 0],
    ]
    assert (instances == mask).all()


@pytest.mark.parametrize(
    "names", ["names: [leaf, spot]", "{nc: 2, names: {1: spot, 0: leaf}}", "names: {'0': leaf, '1': spot}"]
)
@pytest.mark.parametrize("place", ["labels", "labels/train", "train/labels"])
def test_names_of_classes_are_a_list_or_a_mapping_in_a_folder_above(tmp_path, names, place):
    assert yolo.classes(write(tmp_path, TRIANGLE, names, place)) == ["leaf", "spot"]


def test_a_file_without_lines_says_that_there_is_nothing(tmp_path):
    (found,) = yolo.read(write(tmp_path, "\n"))
    assert found.shapes == ()


@pytest.mark.parametrize(
    "text, words",
    [
        (f"{TRIANGLE}\n0 0.5 0.5 0.2 0.1", "line 2 is a box; boxes are no masks"),
        (f"{TRIANGLE}\n2 0 0 0.5 0 0.5 0.5", "line 2 is of the unknown class 2; data.yaml names 0 to 1"),
        (f"{TRIANGLE}\n0 0 0 0.5 0.5 0.5 0 1", "line 2 has 7 numbers after its class"),
        ("0 0.1 0.1 0.2", "line 1 has 3 numbers after its class"),
        (f"{TRIANGLE} 0.4", "line 1 has 7 numbers after its class"),
        ("0 0.1 0.1 0.5 0.x 0.5 0.5", "line 1 holds what is no number"),
        ("0 10 10 50 10 50 50", "line 1 has coordinates that are no shares of width and height"),
        ("0 nan 0 0.5 0 0.5 0.5", "line 1 has coordinates that are no shares"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, words):
    path = write(tmp_path, text)
    refused(lambda: list(yolo.read(path)), path, words)


@pytest.mark.parametrize(
    "names, words",
    [
        (None, "p.txt: no data.yaml with the names of its classes"), ("nc: 2", "no data.yaml"),
        ("names: 3", "data.yaml: names is neither a list"), ("names: {0: a, 2: b}", "data.yaml: names is neither"),
        ("names: []", "data.yaml: names is neither"), ("names: [", "data.yaml: damaged, no YAML"),
    ],
)  # fmt: skip
def test_names_that_are_missing_or_wrong_are_refused(tmp_path, names, words):
    refused(lambda: list(yolo.read(write(tmp_path, TRIANGLE, names, "x/labels"))), words)
