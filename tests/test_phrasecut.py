"""PhraseCut: the reader on tiny files in the true layout, what it refuses, the sample, the download against stubs."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.datasets.phrasecut import reader as phrasecut
from refusing import digest

REAL = Path(os.environ.get("PROMPTSEG_REAL_DATA", "/nonexistent")) / "phrasecut"
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
    """The JSON files, by name; refer_train.json is not in order."""
    info = [{"image_id": id, "coco_id": None, "flickr_id": None, "width": w, "height": h, "split": "train",
             "url": f"https://cs.stanford.edu/people/rak248/VG_100K_2/{id}.jpg"}
            for id, (w, h) in SIZES.items()]  # fmt: skip
    info.append({**info[0], "image_id": 99})  # a photograph without a task
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
    for id, (w, h) in SIZES.items():
        Image.fromarray(np.full((h, w, 3), id, np.uint8)).save(root / home / f"{id}.jpg")
    return root


def refused(call, *words: str) -> str:
    with pytest.raises(UserError) as problem:
        call()
    message = str(problem.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


@pytest.mark.parametrize("below", ["", phrasecut.NAME])
@pytest.mark.parametrize("home", phrasecut.HOMES)
def test_order_split_group_text(tmp_path, below, home):
    root = build(tmp_path / below, home=home)
    phrasecut.verify(tmp_path)
    pictures = list(phrasecut.read(tmp_path))
    assert [picture.id for picture in pictures] == [
        "9/9__5", "11/11__3", "11/11__20", "11/11__100", "30/30__1", "40/40__1", "50/50__1",
    ]  # fmt: skip
    assert [picture.split for picture in pictures] == ["train"] * 4 + ["val", "val", "test"]
    assert [picture.text for picture in pictures[:4]] == ["red ball", "x", "two words", "dogs"]
    assert all(picture.group == picture.id.split("/")[0] for picture in pictures)
    assert all(picture.file == root / home / f"{picture.group}.jpg" for picture in pictures)


def test_pixels(tmp_path):
    build(tmp_path)
    pictures = {picture.id: picture for picture in phrasecut.read(tmp_path)}
    picture = pictures["11/11__100"]
    image, mask = picture.image(), picture.mask()
    assert image.shape == (8, 12, 3) and mask.shape == (8, 12) and image.dtype == mask.dtype == np.uint8
    expected = np.zeros((8, 12), np.uint8)
    expected[1:5, 1:5] = expected[3:7, 3:7] = 1  # coordinates cut off; where both are, no hole
    assert (mask == expected).all()
    assert pictures["9/9__5"].mask().shape == (14, 10)
    assert not pictures["11/11__3"].mask().any()  # no polygon: empty


def test_only_what_is_asked_for_is_read(tmp_path):
    path = build(tmp_path) / "images" / "9.jpg"
    path.write_bytes(path.read_bytes()[:300])
    picture = next(iter(phrasecut.read(tmp_path)))
    assert picture.mask().any()
    refused(picture.image, "images/9.jpg", "fetch it again")


def test_parts_of_the_data(tmp_path):
    build(tmp_path)
    for name in ("refer_val.json", "refer_test.json"):
        (tmp_path / name).unlink()
    phrasecut.verify(tmp_path)
    assert [picture.split for picture in phrasecut.read(tmp_path)] == ["train"] * 4 + ["val"]
    (tmp_path / "refer_train.json").unlink()
    refused(lambda: phrasecut.verify(tmp_path), "refer_train.json", "no tasks to train on")
    assert list(phrasecut.read(tmp_path))
    (tmp_path / "refer_miniv.json").unlink()
    refused(lambda: phrasecut.read(tmp_path), "no tasks in refer_train.json")


def test_a_task_in_val_and_miniv_counts_once(tmp_path):
    files = tiny()
    files["refer_miniv.json"].append(task(30, 1, "in miniv"))
    texts = {picture.id: picture.text for picture in phrasecut.read(build(tmp_path, files))}
    assert texts["30/30__1"] == "red ball" and len(texts) == 7


@pytest.mark.parametrize("call", [phrasecut.read, phrasecut.verify])
def test_missing_files(tmp_path, call):
    refused(lambda: call(tmp_path), str(tmp_path), "no image_data_split.json")
    build(tmp_path)
    (tmp_path / "images/11.jpg").unlink()
    refused(lambda: call(tmp_path), "images/11.jpg: not found", "1 photographs of 5", "images2.zip")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"image_id": "9"}, ["image_id is '9'"]),
        ({"image_id": True}, ["image_id is True"]),
        ({"image_id": -9}, ["image_id is -9"]),
        ({"image_id": 2**40}, ["image_id is 1099511627776"]),
        ({"image_id": 9.0}, ["image_id is 9.0"]),
        ({"image_id": "../../9"}, ["image_id is '../../9'"]),
        ({"image_id": None}, ["image_id is missing"]),
        ({"task_id": "../../etc/passwd"}, ["task_id", "letters, digits"]),
        ({"task_id": "9__5\n"}, ["task_id", "letters, digits"]),
        ({"task_id": 7}, ["task_id", "letters, digits"]),
        ({"phrase": None}, ["phrase is missing"]),
        ({"phrase": "  "}, ["phrase is '  '"]),
        ({"phrase": ["red"]}, ["phrase is ['red']"]),
        ({"phrase": "red\x1b[2J"}, ["characters that cannot be shown"]),
        ({"Polygons": None}, ["Polygons", "not nested"]),
        ({"Polygons": [[[1, 2, 3]]]}, ["list of points"]),
        ({"Polygons": [[[["1", "2"]] * 3]]}, ["list of points"]),
        ({"Polygons": [[[[1, 2]] * 2 + [[1, 99999]]]]}, ["a coordinate is not a finite number up to 32767"]),
    ],
)  # fmt: skip
def test_wrong_tasks(tmp_path, change, words):
    files = tiny()
    files["refer_train.json"][1].update(change)
    build(tmp_path, files)
    refused(lambda: phrasecut.read(tmp_path), "refer_train.json: task", "(entry 2)", *words, "restore")


def test_not_a_number(tmp_path):
    build(tmp_path)
    path = tmp_path / "refer_test.json"
    path.write_text(path.read_text().replace("[4, 4]", "[NaN, 4]"))
    refused(lambda: phrasecut.verify(tmp_path), "refer_test.json: entry 1", "NaN is no number")
    path.write_text(path.read_text().replace("NaN", "1e999"))
    refused(lambda: phrasecut.verify(tmp_path), "refer_test.json: task '50__1'", "not a finite number")
    path.write_bytes(path.read_bytes()[:-20])
    refused(lambda: phrasecut.verify(tmp_path), "refer_test.json: entry 1 breaks off")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"width": 0}, ["entry 2", "width is 0"]),
        ({"height": None}, ["entry 2", "height is missing"]),
        ({"width": 30000, "height": 30000}, ["entry 2", "30000x30000"]),
        ({"image_id": 11, "width": 3}, ["entry 2", "image 11 is there twice"]),
        ({"image_id": 10}, ["no image 9, which task 9__5 is about"]),
    ],
)
def test_wrong_info(tmp_path, change, words):
    files = tiny()
    files["image_data_split.json"][1].update(change)
    build(tmp_path, files)
    refused(lambda: phrasecut.verify(tmp_path), "image_data_split.json", *words)


def test_twins_and_leaks(tmp_path):
    files = tiny()
    files["refer_test.json"].append(task(11, 77))
    refused(lambda: phrasecut.read(build(tmp_path / "a", files)), "image 11 has tasks in train and in test")
    files["refer_test.json"][-1]["task_id"] = "11__3"
    refused(lambda: phrasecut.read(build(tmp_path / "b", files)), "refer_test.json: task 11__3 is in refer_train.json")
    files["refer_test.json"][-1] = task(50, 1)
    refused(lambda: phrasecut.read(build(tmp_path / "c", files)), "task 50__1 is in refer_test.json as well")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    phrasecut.sample(folder, 0)
    return folder


def test_sample_is_in_the_official_layout(drawn):
    root = drawn / phrasecut.NAME
    info = json.loads((root / phrasecut.INFO).read_text())
    splits = {entry["image_id"]: entry["split"] for entry in info}
    assert sorted(splits.values()) == ["miniv"] + ["test"] * 8 + ["train"] * 10 + ["val"] * 3
    assert {path.name for path in (root / "images").iterdir()} == {f"{id}.jpg" for id in splits}
    for name in phrasecut.SPLITS:
        tasks = json.loads((root / name).read_text())
        for entry in tasks:
            assert entry.keys() == task(1, 1).keys()
            assert entry["phrase_structure"].keys() == task(1, 1)["phrase_structure"].keys()
            assert entry["phrase_structure"]["type"] in ("name", "attribute", "relation")
            assert len(entry["ann_ids"]) == len(entry["instance_boxes"]) == len(entry["Polygons"]) >= 1
            assert entry["task_id"] == f"{entry['image_id']}__{'_'.join(map(str, entry['ann_ids']))}"
            assert name == f"refer_{splits[entry['image_id']]}.json"


def test_sample_reads_back(drawn):
    phrasecut.verify(drawn)
    pictures = list(phrasecut.read(drawn))
    groups = {split: {p.group for p in pictures if p.split == split} for split in ("train", "val", "test")}
    assert {split: len(ids) for split, ids in groups.items()} == {"train": 10, "val": 4, "test": 8}
    assert not groups["train"] & groups["val"] | groups["train"] & groups["test"] | groups["val"] & groups["test"]
    for picture in pictures:
        mask = picture.mask()
        assert picture.image().shape == (*mask.shape, 3) and 0.0005 < mask.mean() < 0.7, picture.id
    assert len({picture.text for picture in pictures}) > 40
    of_one = [[p.mask() for p in pictures if p.group == group] for group in sorted(groups["test"])]
    assert all(not (a == b).all() for masks in of_one for i, a in enumerate(masks) for b in masks[:i])


def test_sample_asks_for_words(drawn):
    """Phrases that need an attribute or a relation, and some that name several things at once."""
    tasks = [entry for name in phrasecut.SPLITS for entry in json.loads((drawn / phrasecut.NAME / name).read_text())]
    kinds = [entry["phrase_structure"]["type"] for entry in tasks]
    assert kinds.count("attribute") > 20 and kinds.count("relation") >= 8
    assert sum(len(entry["Polygons"]) > 1 for entry in tasks) > 15
    assert any("on the" in entry["phrase"] for entry in tasks) and any("striped" in entry["phrase"] for entry in tasks)


def test_threshold_does_not_solve_the_sample(drawn):
    counts = np.zeros((2, 256), int)
    for picture in phrasecut.read(drawn):
        gray, mask = picture.image().mean(axis=2).astype(np.uint8), picture.mask()
        for value in (0, 1):
            counts[value] += np.bincount(gray[mask == value], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    assert max((side[1] / (counts[1].sum() + side[0])).max() for side in sides) < 0.2


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """What was asked for: files by fetch, pictures by gather; both are answered from TINY's files."""
    source, asked = build(tmp_path / "source"), {"files": [], "wanted": []}
    names = {f"drive:{id}": name for name, id in phrasecut.DRIVE.items()}

    def fetch(url, path, **_):
        asked["files"].append(names[url])
        path.write_bytes((source / names[url]).read_bytes())

    def gather(wanted, hosts, by_hand):
        assert hosts == ("cs.stanford.edu", "homes.cs.washington.edu") and "by way of" in by_hand
        asked["wanted"] += (wanted := list(wanted))
        for one in wanted:
            one.path.parent.mkdir(exist_ok=True)
            one.path.write_bytes((source / "images" / one.path.name).read_bytes())

    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(phrasecut.fetch, "fetch", fetch)
    monkeypatch.setattr(phrasecut.fetch, "drive", lambda id: f"drive:{id}")
    monkeypatch.setattr(phrasecut.gather, "gather", gather)
    asked["source"] = source
    return asked


def test_download(stubs, tmp_path):
    phrasecut.download(tmp_path / "raw")
    assert sorted(stubs["files"]) == sorted(phrasecut.DRIVE)
    assert phrasecut.DRIVE["refer_train.json"] == "1qx-0q6r9r0YUGpoyT0B8HJKmUFWQDSu7"
    address = "https://cs.stanford.edu/people/rak248/VG_100K_2/{}.jpg"
    assert {(one.url, one.path.name, one.size) for one in stubs["wanted"]} == {
        (address.format(id), f"{id}.jpg", size) for id, size in SIZES.items()
    }  # and not the photograph without a task
    assert digest(tmp_path / "raw" / phrasecut.NAME) == digest(stubs["source"])
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] in ([], [f"{phrasecut.NAME}.lock"])


def test_download_goes_on_where_it_was(stubs, tmp_path, monkeypatch):
    def fail(*_):
        raise UserError("3 of 5 pictures did not come")

    with monkeypatch.context() as patch:
        patch.setattr(phrasecut.gather, "gather", fail)
        refused(lambda: phrasecut.download(tmp_path / "raw"), "3 of 5 pictures")
    assert not (tmp_path / "raw").exists() and len(stubs["files"]) == 5
    phrasecut.download(tmp_path / "raw")
    assert len(stubs["files"]) == 5  # nothing twice
    phrasecut.verify(tmp_path / "raw")


def test_download_keeps_no_damaged_file(stubs, tmp_path):
    path = stubs["source"] / "refer_test.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    refused(lambda: phrasecut.download(tmp_path / "raw"), "refer_test.json", "breaks off")
    path.write_bytes(whole)
    phrasecut.download(tmp_path / "raw")
    phrasecut.verify(tmp_path / "raw")


@pytest.mark.skipif(not REAL.is_dir(), reason="PROMPTSEG_REAL_DATA names no folder with phrasecut")
def test_real_data():
    phrasecut.verify(REAL)
    pictures = list(phrasecut.read(REAL))
    assert len({picture.id for picture in pictures}) == len(pictures)
    for picture in pictures[:: max(1, len(pictures) // 50)]:
        assert picture.image().shape[:2] == picture.mask().shape
