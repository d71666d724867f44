"""COCO JSON: pixels of a file checked by hand, its odd entries, and one line for what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from promptseg.annotations import coco, recognize
from promptseg.annotations.rasterize import rasterize
from promptseg.data import rle
from refusing import refused

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # columns 1 to 3, rows 1 and 2
IMAGES = [{"id": 7, "file_name": "a.jpg", "height": 4, "width": 6}, {"id": "x", "file_name": "b/é.png"}]
CATEGORIES = [{"id": 3, "name": "spot"}, {"id": 1, "name": "leaf", "supercategory": "plant"}]
ENCODED = rle.encode(np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1]] * 2, bool))


def annotation(id, segmentation, category=3, image=7, **more) -> dict:
    return {"id": id, "image_id": image, "category_id": category, "segmentation": segmentation, **more}


def content(*annotations, **more) -> dict:
    return {"info": {"year": 1}, "images": IMAGES, "categories": CATEGORIES, "annotations": list(annotations), **more}


def write(folder: Path, found: dict | str) -> Path:
    (folder / "a.json").write_text(found if isinstance(found, str) else json.dumps(found, indent=1), "utf-8")
    return folder / "a.json"


FILE = content(
    annotation(1, [SQUARE, [5, 0, 6, 0, 6, 1, 5, 1]]),
    annotation(2, {"size": [4, 6], "counts": [4, 2, 18]}, 1),
    annotation(3, ENCODED, 1),
    annotation(4, [[2, 2, 9, 2, 9, 9, 2, 9]], iscrowd=1),
)


@pytest.mark.parametrize("order", [list(FILE), list(FILE)[::-1]], ids=["usual", "annotations first"])
def test_a_file_checked_by_hand(tmp_path, order):
    path = write(tmp_path, {key: FILE[key] for key in order})
    assert recognize(path) is coco and coco.classes(path) == ["spot", "leaf"]
    first, second = coco.read(path)
    assert (first.image, first.height, first.width) == ("a.jpg", 4, 6)
    assert (second.image, second.height, second.width, second.shapes) == ("b/é.png", None, None, ())
    mask, instances = rasterize(first.shapes, {"spot": 1, "leaf": 2}, 4, 6, str(path))
    assert mask.tolist() == [
        [0, 2, 0, 0, 0, 2],
        [0, 2, 1, 1, 0, 2],
        [0, 1, 255, 255, 255, 255],
        [0, 0, 255, 255, 255, 255],
    ]
    assert instances.tolist() == [[0, 2, 0, 0, 0, 3], [0, 2, 1, 1, 0, 3], [0, 1, 0, 0, 0, 0], [0] * 6]


def test_categories_of_one_name_are_one_class_and_a_byte_order_mark_is_no_damage(tmp_path):
    twice = [*CATEGORIES, {"id": 9, "name": "spot"}]
    path = write(tmp_path, "\ufeff" + json.dumps(content(annotation(1, [SQUARE], 9)) | {"categories": twice}))
    assert coco.classes(path) == ["spot", "leaf"] and next(coco.read(path)).shapes[0].label == "spot"


@pytest.mark.parametrize(
    "found, words",
    [
        (json.dumps(FILE)[:-40], "truncated or damaged in 'annotations', "),
        (json.dumps(FILE) + "]", "truncated or damaged after its end"),
        (json.dumps(FILE).replace('"annotations": [', '"annotations": [,'), "in 'annotations', element 1"),
        (content(annotation(5, [SQUARE], image=8)), "annotation 5 is of the unknown image 8"),
        (content(annotation(5, [SQUARE], 2)), "annotation 5 is of the unknown category 2"),
        (content(annotation(5, [SQUARE], None)), "annotation 5 is of the unknown category None"),
        (content({"segmentation": [SQUARE]}), "annotation 1 of annotations has no image_id"),
        (content() | {"categories": [{"id": 4}]}, "category 4 has no name"),
        (content() | {"categories": [*CATEGORIES, {"id": 1, "name": "x"}]}, "category 'x' has no id of its own"),
        (content() | {"images": [{"id": 1}]}, "image 1 of images has no id or no file_name"),
        (content() | {"images": [IMAGES[0], IMAGES[0]]}, "the images a.jpg and a.jpg have the same id 7"),
        (content(annotation(5, [], bbox=[1, 1, 2, 2])), "annotation 5 is a box without segmentation; a box is no mask"),
        (content(annotation(5, None)), "annotation 5 has no segmentation"),
        (content(annotation(5, [[1, 2, 3, 4, 5]])), "annotation 5 has a damaged segmentation: polygons are [["),
        (content(annotation(5, [["a", "b"] * 3])), "annotation 5 has a damaged segmentation: polygons are [["),
        (content(annotation(5, SQUARE[:3])), "annotation 5 has a damaged segmentation: polygons are [["),
        (content(annotation(5, {"size": [4, 6], "counts": [4, 2]})), "its run lengths do not fill 4 x 6 pixels"),
        (content(annotation(5, {"size": [4, 6], "counts": [-4, 28]})), "its run lengths do not fill 4 x 6 pixels"),
        (content(annotation(5, {"counts": "abc"})), "run lengths have a size"),
        (content(annotation(5, {"size": [4, 6]})), "run lengths have counts"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_place(tmp_path, found, words):
    path = write(tmp_path, found)
    assert recognize(path) is coco
    refused(lambda: list(coco.read(path)), path, words)


@pytest.mark.parametrize(
    "segmentation, words",
    [
        ([[1, 1, 4, 1]], "annotation 5: a polygon of 2 points has no area"),
        ([[1, 1, 4, 1, None, 3]], "annotation 5: its coordinates are no pixels"),
        (
            rle.encode(np.ones((6, 4), bool)),
            "5: its run lengths are of 6 x 4 pixels, but the image is 4 x 6",
        ),
        ({"size": [4, 6], "counts": "1"}, "annotation 5: its run lengths do not fill 4 x 6 pixels"),
    ],
)
def test_areas_that_are_none_of_the_image_are_refused_when_they_are_drawn(tmp_path, segmentation, words):
    path = write(tmp_path, content(annotation(5, segmentation)))
    refused(lambda: rasterize(next(coco.read(path)).shapes, {"spot": 1}, 4, 6, str(path)), path, words)
