"""Which format files are of, which images their annotations are of, and the classes of all."""

import json
from pathlib import Path

import pytest
from promptseg import annotations
from promptseg.annotations import cellpose, coco, labelme, yolo
from refusing import refused

POINTS = [[0, 0], [3, 0], [3, 2]]


def write(path: Path, found: dict | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found if isinstance(found, str) else json.dumps(found))


def of_coco(*names: str) -> dict:
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    return {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}


def of_labelme(image: str, *labels: str, kind="polygon") -> dict:
    return {"shapes": [{"label": label, "points": POINTS, "shape_type": kind} for label in labels], "imagePath": image}


def test_every_module_with_a_reader_is_a_format():
    assert {coco, labelme, yolo, cellpose} <= set(annotations.formats())
    for module in annotations.formats():
        assert module.NAME and module.SUFFIXES == tuple(suffix.lower() for suffix in module.SUFFIXES)
        assert all(suffix.startswith(".") for suffix in module.SUFFIXES) and callable(module.matches)


@pytest.mark.parametrize(
    "name, content, module",
    [
        ("a.json", json.dumps(of_coco("p.jpg")), coco), ("a.JSON", json.dumps(of_coco("p.jpg")), coco),
        ("a.json", json.dumps(dict(reversed(of_coco("p.jpg").items())), indent=2), coco),
        ("a.json", json.dumps(of_labelme("p.jpg", "a")), labelme),
        ("a.json", '{"imageData": "' + "A" * 100_000 + '", "shapes": []}', labelme),
        ("a.txt", "0 0.1 0.2 0.3 0.4 0.5 0.6\n1 .5 .5 1 1 0 1\n", yolo), ("a.txt", "0 0.5 0.5 0.2 1e-3", yolo),
        ("a_seg.npy", "", cellpose),
        ("a.txt", "1 2 3\n", None), ("a.txt", "one two three four five\n", None), ("a.txt", "", None),
        ("a.json", "[1]", None), ("a.json", "{", None), ("a.json", '{"scale": 3}', None), ("a.npy", "", None),
        ("a.json", '{"annotations": [1, 2]}', None), ("a.png", "0 0.1 0.2 0.3 0.4", None),
    ],
)  # fmt: skip
def test_a_file_is_recognized_by_its_content(tmp_path, name, content, module):
    (tmp_path / name).write_text(content)
    assert annotations.recognize(tmp_path / name) is module
    assert annotations.recognize(tmp_path / "missing.json") is None


@pytest.mark.parametrize(
    "file, name, images, expected",
    [
        ("a.json", "images/p.jpg", ["images/p.jpg", "q/images/p.jpg"], "images/p.jpg"),
        ("labels/a.json", "../images/p.jpg", ["images/p.jpg", "p.jpg"], "images/p.jpg"),
        ("labels/a.json", "p.jpg", ["labels/p.jpg", "p.jpg"], "labels/p.jpg"),
        ("labels/a.json", "p.jpg", ["x/p.jpg", "p.jpg"], "p.jpg"),
        ("a.json", "train/p.jpg", ["images/train/p.jpg", "images/val/p.jpg"], "images/train/p.jpg"),
        ("a.json", "train\\p.jpg", ["images/train/p.jpg", "images/val/p.jpg"], "images/train/p.jpg"),
        ("a.json", "C:\\data\\old\\p.jpg", ["images/p.jpg", "images/q.jpg"], "images/p.jpg"),
        ("a.json", "/home/her/p.jpg", ["images/p.jpg"], "images/p.jpg"),
        ("a.json", "La\u0308rche.jpg", ["images/L\u00e4rche.jpg"], "images/L\u00e4rche.jpg"),
        ("a.json", "p.png", ["images/p.jpg"], None),
    ],
)
def test_the_image_is_found_by_its_path_or_by_its_base_name(tmp_path, file, name, images, expected):
    write(tmp_path / file, of_coco(name))
    matched, unknown = annotations.index(tmp_path, [file]).of_images(images)
    assert list(matched) == ([expected] if expected else []) and len(unknown) == (expected is None)


def test_an_image_that_is_there_by_its_path_is_not_that_of_another_name(tmp_path):
    write(tmp_path / "a.json", of_coco("old/p.jpg", "new/p.jpg"))
    matched, unknown = annotations.index(tmp_path, ["a.json"]).of_images(["new/p.jpg"])
    assert [each.image for each in matched.values()] == ["new/p.jpg"] and [each.image for each in unknown] == [
        "old/p.jpg"
    ]


@pytest.mark.parametrize(
    "names, images, words",
    [
        (["p.jpg"], ["x/p.jpg", "y/p.jpg"], "a.json: its image 'p.jpg' may be x/p.jpg or y/p.jpg"),
        (["old/p.jpg"], ["x/p.jpg", "y/p.jpg"], "a.json: its image 'old/p.jpg' may be x/p.jpg or y/p.jpg"),
        (["p.jpg", "./p.jpg"], ["p.jpg"], "both annotate p.jpg"),
        (["p.jpg", "old/p.jpg"], ["x/p.jpg"], "a.json, p.jpg and"),
    ],
)
def test_an_image_that_may_be_several_or_is_annotated_twice_is_refused(tmp_path, names, images, words):
    write(tmp_path / "a.json", of_coco(*names))
    index = annotations.index(tmp_path, ["a.json"])
    if words.startswith("a.json, "):  # the first is found by its path; nothing is left for the second
        assert [each.image for each in index.of_images(images)[1]] == ["old/p.jpg"]
    else:
        refused(lambda: index.of_images(images), words)


def test_classes_are_in_the_order_of_the_files_or_sorted(tmp_path):
    for name, labels in (("p1", ("spot", "leaf")), ("p2", ("root",))):
        write(tmp_path / f"{name}.json", of_labelme(f"{name}.jpg", *labels))
    assert annotations.index(tmp_path, ["p1.json", "p2.json"]).classes == ("leaf", "root", "spot")
    for name, categories in (("train", ["z", "a"]), ("val", ["a", "m"])):
        listed = [{"id": number, "name": category} for number, category in enumerate(categories)]
        write(tmp_path / f"{name}.json", of_coco(f"{name}.jpg") | {"categories": listed})
    assert annotations.index(tmp_path, ["train.json", "val.json"]).classes == ("z", "a", "m")


def test_a_file_of_one_image_is_read_again_and_an_index_until_its_files_change(tmp_path):
    write(tmp_path / "p.json", of_labelme("p.jpg", "a"))
    first = annotations.index(tmp_path, ["p.json"])
    assert first is annotations.index(tmp_path, ["p.json"])
    assert first.found[0].kept is None and first.found[0].annotated().shapes[0].label == "a"
    write(tmp_path / "p.json", of_labelme("p.jpg", "a", "b"))
    assert annotations.index(tmp_path, ["p.json"]).classes == ("a", "b")


def test_lines_and_points_are_left_out_and_counted_in_a_note(tmp_path, capsys):
    for name in ("p1", "p2"):
        write(tmp_path / f"{name}.json", of_labelme(f"{name}.jpg", "a", "b", kind="linestrip"))
    assert annotations.index(tmp_path, ["p1.json", "p2.json"]).classes == ()
    note = f"note: {tmp_path / 'p1.json'}: lines and points are no areas; 4 annotations are left out"
    assert capsys.readouterr().err.splitlines() == [note]


@pytest.mark.parametrize(
    "files, words",
    [
        ({"a.json": "{}", "b.txt": "x"}, "a.json: it is of no annotation format that is read: "),
        (
            {"a.json": of_coco("p.jpg"), "b.json": of_labelme("q.jpg", "a")},
            "b.json: it is labelme JSON, but other files are",
        ),
        (
            {"a.json": of_coco("p.jpg"), "b.txt": "readme"},
            "b.txt: it is no annotation file, but other files are COCO JSON",
        ),
        (
            {"p_seg.npy": "\x80"},
            "p_seg.npy: a pickle, which may run code and so is not read; in Cellpose choose File > Save",
        ),
    ],
)
def test_files_of_no_format_or_of_two_are_refused(tmp_path, files, words):
    for name, content in files.items():
        write(tmp_path / name, content)
    refused(lambda: annotations.index(tmp_path, list(files)), words)
