"""Annotations that are no masks are named, with what is read instead."""

import json
from functools import partial
from pathlib import Path

import pytest
from promptseg.datasets.folder import annotation_files, pairing
from promptseg.datasets.folder.patterns import Pattern
from refusing import refused

SHAPES = {"version": "5", "shapes": [{"label": "blob", "points": [[0, 0], [1, 1], [0, 1]]}], "imagePath": "p.jpg"}
FEATURE = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}}


@pytest.mark.parametrize(
    "path, content, words",
    [
        (
            "labels/p.txt",
            "0 0.1 0.2 0.3 0.4 0.5 0.6\n1 .5 .5 1 1 0 1\n",
            "labels/p.txt holds polygons in YOLO's txt format",
        ),
        ("labels/p.txt", "0 0.5 0.5 0.2 1e-3\n", "boxes in YOLO's txt format"),
        ("images/p.json", json.dumps(SHAPES), "polygons in labelme's JSON format"),
        (
            "a.json",
            json.dumps({"images": [], "annotations": [], "categories": []}),
            "annotations in COCO's JSON format",
        ),
        ("a.geojson", json.dumps({"type": "FeatureCollection", "features": [FEATURE]}), "polygons as GeoJSON"),
        ("via.json", json.dumps({"p.jpg123": {"filename": "p.jpg", "regions": []}}), "polygons in VIA's JSON format"),
        ("p.xml", "<?xml version='1.0'?>\n<annotations><image/></annotations>", "CVAT's XML format"),
        ("p.xml", "<annotation>\n<object/></annotation>", "Pascal VOC's or LabelMe's XML format"),
    ],
)
def test_the_format_is_named(tmp_path, path, content, words):
    for name, text in (("images/p.jpg", ""), ("classes.txt", "blob\n"), ("empty.json", ""), (path, content)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    remedy = "which promptseg does not read: convert it to masks, PNG or TIFF"
    find = partial(pairing.pair, tmp_path, Pattern("images/{name}.jpg"))
    refused(partial(find, Pattern("masks/{name}.*")), "no file matches options.masks", words, remedy)
    suffix = Path(path).suffix
    if Path(path).stem == "p":
        refused(partial(find, Pattern(f"{Path(path).parent}/{{name}}{suffix}".removeprefix("./"))), words, remedy)


@pytest.mark.parametrize(
    "path, content",
    [("a.txt", "1 2 3\n"), ("a.txt", "one two three four five\n"), ("a.txt", ""), ("a.json", "[1]"), ("a.json", "{"),
     ("a.json", '{"scale": 3}'), ("a.xml", "<metadata/>"), ("a.png", "0 0.1 0.2 0.3 0.4")],
)  # fmt: skip
def test_other_files_are_not(tmp_path, path, content):
    (tmp_path / path).write_text(content)
    assert annotation_files.described(tmp_path, [path]) is None
