"""PhraseCut: the reader on tiny files in the official layout, its errors, the download with stubs."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.datasets import LeaveOut
from promptseg.datasets.phrasecut import annotations
from promptseg.datasets.phrasecut import reader as phrasecut
from promptseg.preprocessing.filter import measure
from promptseg.preprocessing.tiles import Tiler
from refusing import digest, refused

SIZES = {11: (12, 8), 9: (10, 14), 30: (12, 8), 40: (12, 8), 50: (12, 8)}  # width, height
SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]
OTHER = [[3.7, 3.2], [6.9, 3.5], [6.2, 6.8], [3.1, 6.1]]


def task(image_id: int, n: int, phrase: str = "red ball", instances=((SQUARE,),)) -> dict:
    return {
        "task_id": f"{image_id}__{n}",
        "image_id": image_id,
        "ann_ids": [n] * len(instances),
        "instance_boxes": [[1, 1, 4, 4]] * len(instances),
        "Polygons": copy.deepcopy([list(polygons) for polygons in instances]),
        "phrase": phrase,
        "phrase_structure": {"name": "ball", "attributes": ["red"], "relation_ids": [], "relation_descriptions": [],
                             "type": "attribute"},
    }  # fmt: skip


def tiny() -> dict[str, list]:
    """Return the JSON files by name; refer_train.json is not sorted."""
    info = [{"image_id": id, "coco_id": None, "flickr_id": None, "width": w, "height": h, "split": "train",
             "url": f"https://cs.stanford.edu/people/rak248/VG_100K_2/{id}.jpg"}
            for id, (w, h) in SIZES.items()]  # fmt: skip
    info.append({**info[0], "image_id": 99})  # an image without a task
    return {
        "image_data_split.json": info,
        "refer_train.json": [
            task(11, 100, "dogs", [(SQUARE,), (OTHER,)]), task(9, 5),
            task(11, 20, "  two   words "), task(11, 3, "x", []),
        ],
        "refer_val.json": [task(30, 1)],
        "refer_miniv.json": [task(40, 1, "in miniv")],
        "refer_test.json": [task(50, 1)],
    }  # fmt: skip


def build(root: Path, files: dict[str, list] | None = None, home: str = "images") -> Path:
    (root / home).mkdir(parents=True)
    for name, value in (files or tiny()).items():
        (root / name).write_text(json.dumps(value))
    for id, size in SIZES.items():
        Image.new("RGB", size, (id, id, id)).save(root / home / f"{id}.jpg")
    return root


@pytest.mark.parametrize("below", ["", phrasecut.NAME])
@pytest.mark.parametrize("home", phrasecut.IMAGE_FOLDERS)
def test_order_split_group_text(tmp_path, below, home):
    root = build(tmp_path / below, home=home)
    phrasecut.verify(tmp_path)
    samples = list(phrasecut.read(tmp_path))
    assert [sample.id for sample in samples] == [
        "9/9__5", "11/11__3", "11/11__20", "11/11__100", "30/30__1", "40/40__1", "50/50__1",
    ]  # fmt: skip
    assert [sample.split for sample in samples] == ["train"] * 4 + ["val", "val", "test"]
    assert [sample.text for sample in samples[:4]] == ["red ball", "x", "two words", "dogs"]
    assert all(sample.group == sample.id.split("/")[0] for sample in samples)
    assert all(sample.file == root / home / f"{sample.group}.jpg" for sample in samples)


def test_pixels_of_image_and_mask_are_read_separately(tmp_path):
    path = build(tmp_path) / "images/9.jpg"
    path.write_bytes(path.read_bytes()[:300])
    samples = {sample.id: sample for sample in phrasecut.read(tmp_path)}
    image, mask = samples["11/11__100"].image(), samples["11/11__100"].mask()
    assert image.shape == (8, 12, 3) and mask.shape == (8, 12) and image.dtype == mask.dtype == np.uint8
    expected = np.zeros((8, 12), np.uint8)
    expected[1:5, 1:5] = expected[3:7, 3:7] = 1  # coordinates are truncated; an overlap is not a hole
    assert (mask == expected).all()
    assert not samples["11/11__3"].mask().any()  # no polygon: empty
    truncated = samples["9/9__5"]
    assert truncated.mask().shape == (14, 10) and truncated.mask().any()
    refused(truncated.image, "images/9.jpg", "fetch it again")


def test_subsets_of_the_data(tmp_path):
    build(tmp_path)
    for name in ("refer_val.json", "refer_test.json"):
        (tmp_path / name).unlink()
    phrasecut.verify(tmp_path)
    assert [sample.split for sample in phrasecut.read(tmp_path)] == ["train"] * 4 + ["val"]
    (tmp_path / "refer_train.json").unlink()
    refused(lambda: phrasecut.verify(tmp_path), "refer_train.json", "no training tasks")
    assert list(phrasecut.read(tmp_path))
    (tmp_path / "refer_miniv.json").unlink()
    refused(lambda: phrasecut.read(tmp_path), "no tasks in refer_train.json")


@pytest.mark.parametrize("call", [phrasecut.read, phrasecut.verify])
def test_missing_files(tmp_path, call):
    refused(lambda: call(tmp_path), tmp_path, "no image_data_split.json")
    (build(tmp_path) / "images/11.jpg").unlink()
    refused(lambda: call(tmp_path), "images/11.jpg: not found", "1 of 5 images are missing", "images2.zip")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"image_id": "9"}, "image_id is '9'"),
        ({"image_id": -9}, "image_id is -9"),
        ({"image_id": 2**40}, "image_id is 1099511627776"),
        ({"task_id": "../../etc/passwd"}, "task_id is not a string of letters, digits and _"),
        ({"task_id": "9__5\n"}, "task_id is not a string of letters, digits and _"),
        ({"task_id": 7}, "task_id is not a string of letters, digits and _"),
        ({"phrase": None}, "phrase is missing"),
        ({"phrase": "  "}, "phrase is '  '"),
        ({"phrase": ["red"]}, "phrase is ['red']"),
        ({"phrase": "red\x1b[2J"}, "unprintable characters"),
        ({"Polygons": None}, "Polygons are not nested"),
        ({"Polygons": [[[[1, 2]] * 2 + [[1, 99999]]]]}, "a coordinate is not a finite number up to 32767"),
    ],
)
def test_invalid_tasks(tmp_path, change, words):
    files = tiny()
    files["refer_train.json"][1].update(change)
    build(tmp_path, files)
    refused(lambda: phrasecut.read(tmp_path), "refer_train.json: task", "(entry 2)", words, "restore")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"width": 0}, "entry 2: width is 0"),
        ({"height": None}, "entry 2: height is missing"),
        ({"width": 30000, "height": 30000}, "entry 2: 30000x30000"),
        ({"image_id": 11, "width": 3}, "entry 2: image 11 is listed twice"),
        ({"image_id": 10}, "no image 9, which task 9__5 refers to"),
    ],
)
def test_invalid_info(tmp_path, change, words):
    files = tiny()
    files["image_data_split.json"][1].update(change)
    build(tmp_path, files)
    refused(lambda: phrasecut.verify(tmp_path), "image_data_split.json", words)


@pytest.mark.parametrize(
    "number, again, id, words",
    [
        (11, 77, "11__77", "image 11 has tasks in train and in test"),
        (11, 77, "11__3", "refer_test.json: task 11__3 is in refer_train.json"),
        (50, 1, "50__1", "task 50__1 is in refer_test.json as well"),
    ],
)
def test_duplicates_and_leaks(tmp_path, number, again, id, words):
    files = tiny()
    files["refer_miniv.json"].append(task(30, 1, "in miniv"))
    texts = {sample.id: sample.text for sample in phrasecut.read(build(tmp_path / "valid", files))}
    assert texts["30/30__1"] == "red ball" and len(texts) == 7  # a task in val and miniv is used once
    files["refer_test.json"].append(task(number, again) | {"task_id": id})
    refused(lambda: phrasecut.read(build(tmp_path / "invalid", files)), words)


def test_an_image_that_is_not_of_its_annotated_size_is_left_out_and_counted(tmp_path):
    files = tiny()
    files["image_data_split.json"][0]["height"] = 9  # image 11 is 12x8, and has three tasks
    samples = list(phrasecut.read(build(tmp_path, files)))
    with pytest.raises(LeaveOut, match="images/11.jpg: it is 12x8, but was annotated as 12x9; it is left out"):
        samples[1].mask()
    with ThreadPool(1) as pool:
        counts = measure(samples, Tiler(params.Dataset(raw="raw", reader="phrasecut")), pool)
    assert [sample.id for sample, each in zip(samples, counts, strict=True) if each is None] == [
        "11/11__3", "11/11__20", "11/11__100",
    ]  # fmt: skip


def test_unseen_phrases_are_those_of_no_training_task(tmp_path):
    files = tiny()
    files["refer_test.json"] = [task(50, 1, "Red  ball."), task(50, 2, "red balls"), task(50, 3, "Dogs")]
    folder, unseen = build(tmp_path, files), phrasecut.Options(phrases="unseen")
    phrasecut.verify(folder, unseen)
    texts = [(sample.split, sample.text) for sample in phrasecut.read(folder, unseen)]
    assert texts[:4] == [(sample.split, sample.text) for sample in phrasecut.read(folder)][:4]
    assert texts[4:] == [("val", "in miniv"), ("test", "red balls")]
    (folder / "refer_test.json").write_text(json.dumps(files["refer_test.json"][:1]))
    refused(lambda: phrasecut.verify(folder, unseen), "every phrase of test is one of train", "phrases")


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """Replace fetch and gather by copies from the files of `tiny`; return what they were called with."""
    source, requested = build(tmp_path / "source"), {"files": [], "wanted": []}
    names = {f"drive:{id}": name for name, id in phrasecut.DRIVE.items()}

    def fetch(url, path, **_):
        requested["files"].append(names[url])
        path.write_bytes((source / names[url]).read_bytes())

    def gather(wanted, hosts, by_hand):
        assert hosts == ("cs.stanford.edu", "homes.cs.washington.edu") and "by way of" in by_hand
        requested["wanted"] += (wanted := list(wanted))
        for image in wanted:
            image.path.parent.mkdir(exist_ok=True)
            image.path.write_bytes((source / "images" / image.path.name).read_bytes())

    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(phrasecut.http, "fetch", fetch)
    monkeypatch.setattr(phrasecut.http, "drive", lambda id: f"drive:{id}")
    monkeypatch.setattr(phrasecut.gather, "gather", gather)
    return requested | {"source": source}


def test_download_can_be_resumed(stubs, tmp_path, monkeypatch):
    def fail(*_):
        raise UserError("3 of 5 images could not be downloaded")

    with monkeypatch.context() as patch:
        patch.setattr(phrasecut.gather, "gather", fail)
        refused(lambda: phrasecut.download(tmp_path / "raw"), "3 of 5 images")
    assert not (tmp_path / "raw").exists()
    phrasecut.download(tmp_path / "raw")
    assert sorted(stubs["files"]) == sorted(phrasecut.DRIVE)  # nothing twice
    assert phrasecut.DRIVE["refer_train.json"] == "1qx-0q6r9r0YUGpoyT0B8HJKmUFWQDSu7"
    address = "https://cs.stanford.edu/people/rak248/VG_100K_2/{}.jpg"
    assert {(image.url, image.path.name, image.size) for image in stubs["wanted"]} == {
        (address.format(id), f"{id}.jpg", size) for id, size in SIZES.items()
    }  # without the image that has no task
    assert digest(tmp_path / "raw" / phrasecut.NAME) == digest(stubs["source"])
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] in ([], [f"{phrasecut.NAME}.lock"])


def test_download_does_not_cache_damaged_files(stubs, tmp_path):
    path = stubs["source"] / "refer_test.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    refused(lambda: phrasecut.download(tmp_path / "raw"), "refer_test.json: truncated or damaged")
    path.write_bytes(whole)
    phrasecut.download(tmp_path / "raw")
    phrasecut.verify(tmp_path / "raw")


@pytest.mark.parametrize(
    "value, shown", [(True, "True"), (1.0, "1.0"), ("1", "'1'"), (None, "missing"), (0, "0"), (6, "6")]
)
def test_integer(value, shown):
    assert [annotations.integer({"n": n}, "n", 1, 5) for n in (1, 5)] == [1, 5]
    with pytest.raises(ValueError, match=f"n is {shown}, not an integer from 1 to 5"):
        annotations.integer({"n": value}, "n", 1, 5)


def test_shown_is_short_and_on_one_line():
    assert annotations.shown("a\nb") == "'a\\nb'" and len(annotations.shown("x" * 1000)) == 40
