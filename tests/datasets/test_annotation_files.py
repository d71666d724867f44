"""Annotations that are no masks are named, with what is read instead."""

import json
from functools import partial
from pathlib import Path

import pytest
from promptseg.datasets.folder import annotation_files, pairing
from promptseg.datasets.folder.patterns import Pattern
from refusing import refused

LABELME = {"version": "5", "shapes": [{"label": "blob", "points": [[0, 0], [1, 1], [0, 1]]}], "imagePath": "p.jpg"}
COCO = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "blob", "supercategory": ""}]}
UNREAD = "which promptseg does not read: convert it to masks, PNG or TIFF"


@pytest.mark.parametrize(
    "path, content, words",
    [
        (
            "labels/p.txt",
            "0 0.1 0.2 0.3 0.4 0.5 0.6\n1 .5 .5 1 1 0 1\n",
            "labels/p.txt holds YOLO txt: set options.annotations: 'labels/p.txt' instead of masks",
        ),
        ("images/p.json", json.dumps(LABELME), "images/p.json holds labelme JSON: set options.annotations"),
        ("a.json", json.dumps(COCO), "a.json holds COCO JSON: set options.annotations: 'a.json' instead of masks"),
        ("images/p_seg.npy", "", "images/p_seg.npy holds Cellpose's _seg.npy: in Cellpose choose File > Save"),
        ("via.json", json.dumps({"p.jpg123": {"filename": "p.jpg", "regions": []}}), f"VIA's JSON format, {UNREAD}"),
        ("p.xml", "<annotation>\n<object/></annotation>", f"Pascal VOC's or LabelMe's XML format, {UNREAD}"),
    ],
)
def test_the_format_is_named(tmp_path, path, content, words):
    for name, text in (("images/p.jpg", ""), ("classes.txt", "blob\n"), ("readme/empty.json", ""), (path, content)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    find = partial(pairing.pair, tmp_path, Pattern("images/{name}.jpg"))
    refused(partial(find, Pattern("masks/{name}.*")), "no file matches options.masks", words)
    suffix = Path(path).suffix
    if Path(path).stem == "p":
        refused(partial(find, Pattern(f"{Path(path).parent}/{{name}}{suffix}".removeprefix("./"))), words)


@pytest.mark.parametrize(
    "files, pattern",
    [
        (["labels/p.txt", "labels/q.txt"], "labels/{name}.txt"),
        (["labels/train/p.txt", "labels/val/q.txt"], "labels/{name:**}.txt"),
        (["p.txt", "q.txt"], "{name}.txt"),
        (["p.txt", "x/q.txt"], "p.txt"),
        (["test/all.txt", "train/all.txt"], "**/all.txt"),
        (["train/labels/p.txt", "val/labels/q.txt"], "train/labels/p.txt"),
    ],
)
def test_a_pattern_for_all_files_like_the_first_is_offered(tmp_path, files, pattern):
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("0 0.1 0.2 0.3 0.4 0.5 0.6\n")
    assert f"set options.annotations: '{pattern}' instead" in annotation_files.described(tmp_path, files)


@pytest.mark.parametrize(
    "path, content",
    [("a.txt", "1 2 3\n"), ("a.txt", "one two three four five\n"), ("a.txt", ""), ("a.json", "[1]"), ("a.json", "{"),
     ("a.json", '{"scale": 3}'), ("a.xml", "<metadata/>"), ("a.png", "0 0.1 0.2 0.3 0.4")],
)  # fmt: skip
def test_other_files_are_not(tmp_path, path, content):
    (tmp_path / path).write_text(content)
    assert annotation_files.described(tmp_path, [path]) is None
