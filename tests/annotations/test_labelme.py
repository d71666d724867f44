"""labelme JSON: pixels of a file checked by hand, its odd shapes, and one line for what is wrong."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.annotations import labelme, recognize
from promptseg.annotations.rasterize import rasterize
from refusing import refused


def png(values) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.array(values, np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(kind, points, label="a", **more) -> dict:
    return {"label": label, "shape_type": kind, "points": points, "flags": {}, **more}


def write(folder: Path, shapes, **more) -> Path:
    found = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "p.jpg", "imageData": None, **more}
    (folder / "p.json").write_text(json.dumps(found))
    return folder / "p.json"


def test_a_file_checked_by_hand(tmp_path):
    shapes = [
        shape("polygon", [[0, 0], [3, 0], [3, 2], [0, 2]], group_id=4),
        shape("rectangle", [[8, 2], [6, 0]], "b"),  # its last corner first
        shape("mask", [[1, 1], [3, 2]], "b", mask=png([[1, 0, 255], [0, 1, 1]])),
        shape("circle", [[6, 4], [6, 5.85]]),
        shape("linestrip", [[0, 0], [8, 6], [1, 1]]),
        shape("point", [[0, 5]]),
        {"label": "a", "points": [[0, 5], [2, 5], [2, 6], [0, 6]], "group_id": 4},  # as old versions have polygons
    ]
    path = write(tmp_path, shapes, imagePath="..\\images\\p.jpg", imageHeight=6, imageWidth=8)
    assert recognize(path) is labelme
    (found,) = labelme.read(path)
    assert (found.image, found.height, found.width, found.skipped) == ("../images/p.jpg", 6, 8, 2)
    mask, instances = rasterize(found.shapes, {"a": 1, "b": 2}, 6, 8, str(path))
    assert mask.tolist() == [
        [1, 1, 1, 0, 0, 0, 2, 2],
        [1, 2, 1, 2, 0, 0, 2, 2],
        [0, 0, 2, 2, 0, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 1, 1, 1, 1],
        [1, 1, 0, 0, 0, 1, 1, 0],
    ]
    assert instances.tolist() == [
        [1, 1, 1, 0, 0, 0, 2, 2],
        [1, 3, 1, 3, 0, 0, 2, 2],
        [0, 0, 3, 3, 0, 4, 4, 0],
        [0, 0, 0, 0, 4, 4, 4, 4],
        [0, 0, 0, 0, 4, 4, 4, 4],
        [1, 1, 0, 0, 0, 4, 4, 0],
    ]


@pytest.mark.parametrize("radius", [0.6, 3, 7.25, 40, 400])
def test_a_circle_holds_the_pixels_whose_centers_are_within_its_radius(tmp_path, radius):
    side = int(2 * radius) + 20
    path = write(tmp_path, [shape("circle", [[side / 2 + 0.2, side / 2], [side / 2 + 0.2, side / 2 + radius]])])
    (found,) = labelme.read(path)
    mask, _ = rasterize(found.shapes, {"a": 1}, side, side, str(path))
    y, x = np.mgrid[:side, :side] + 0.5
    distance = np.hypot(x - side / 2 - 0.2, y - side / 2)
    sure = np.abs(distance - radius) > 0.15  # pycocotools rounds to fifths of a pixel
    assert ((mask == 1) == (distance <= radius))[sure].all() and mask.any()


def test_a_file_without_a_name_or_size_of_its_image_is_read(tmp_path):
    (found,) = labelme.read(write(tmp_path, [], imagePath=None, imageHeight=None))
    assert (found.image, found.height, found.width, found.shapes) == ("", None, None, ())


@pytest.mark.parametrize(
    "wrong, words",
    [
        (shape("polygon", [[0, 0], [3, 0], [3, 2]], ""), "shape 2: it has no label"),
        (shape("polygon", [[0, 0], [3, 0], [3, 2]], None), "shape 2: it has no label"),
        (7, "shape 2: it has no label"),
        (shape("spline", [[0, 0], [3, 0], [3, 2]]), "shape 2: its shape_type 'spline' is none of polygon, "),
        (shape("polygon", [[0, 0], [3], [3, 2]]), "shape 2: "),
        (shape("polygon", [[0, 0, 1]] * 3), "shape 2: its points are not [[x, y], ...]"),
        (shape("polygon", None), "shape 2: its points are not [[x, y], ...]"),
        (shape("polygon", [[0, "x"]] * 3), "shape 2: "),
        (shape("circle", [[0, 0]]), "shape 2: a circle has 2 points, this one 1"),
        (shape("rectangle", [[0, 0]] * 3), "shape 2: a rectangle has 2 points, this one 3"),
        (shape("mask", [[0, 0], [2, 2]], mask=png([[1, 0]])), "shape 2: its mask is 2x1, but its box 3x3"),
        (shape("mask", [[0, 0], [2, 2]], mask="?"), "shape 2: its mask is no PNG in base64"),
        (shape("mask", [[0, 0], [2, 2]]), "shape 2: its mask is no PNG in base64"),
        (shape("mask", [[0, 0], [2, 2]], mask=png(np.zeros((3, 3)))[:40]), "shape 2: its mask is no PNG in base64"),
    ],
)
def test_a_wrong_shape_is_named_in_one_line(tmp_path, wrong, words):
    path = write(tmp_path, [shape("polygon", [[0, 0], [3, 0], [3, 2]]), wrong])
    refused(lambda: list(labelme.read(path)), path, words)


def test_a_truncated_file_and_a_polygon_of_two_points_are_refused(tmp_path):
    path = write(tmp_path, [shape("polygon", [[0, 0], [3, 0]])])
    (found,) = labelme.read(path)
    refused(lambda: rasterize(found.shapes, {"a": 1}, 4, 4, str(path)), "shape 1: a polygon of 2 points has no area")
    path.write_text(path.read_text()[:-30])
    assert recognize(path) is labelme
    refused(lambda: list(labelme.read(path)), path, "truncated or damaged")
    path.write_text('{"shapes": 3, "imagePath": "a.jpg"}')
    refused(lambda: list(labelme.read(path)), path, "no list of shapes")
