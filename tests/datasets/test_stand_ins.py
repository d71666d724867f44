"""The stand-in of every dataset: small, the same for a seed, with every class, accepted by the stages."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from dataset_cases import CASES, DATASETS, READS, SETTINGS, contents, decoded, digest, labels
from imports import STAGES
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import params
from promptseg.data import image_io, records
from promptseg.data.image_io import IGNORED
from promptseg.preprocessing import prepare, split_assignment

SMALL = 20  # up to so many classes, the stand-in contains all; of more, those that params.yaml selects
MAX_BYTES = 8 << 20  # of a stand-in
# Constants of sample.py with which drawing a stand-in takes a moment.
SHRUNKEN: dict[str, dict[str, object]] = {
    "cityscapes": {
        "CITIES": {"train": {"altenau": "old town"}, "val": {"fernheim": "suburb"}},
        "IMAGES_PER_CITY": {"train": 1, "val": 1},
    },
    "cityscapes_pairs": {"COUNTS": {"train": 1, "val": 1}},
    "coco_stuff": {"COUNTS": {"train2017": 8, "val2017": 1}},
    "covid": {"COUNTS": {"Train": [1, 1, 1], "Val": [1, 1, 0], "Test": [1, 0, 1]}},
    "em": {"SLICES": {"training": 2, "testing": 2}, "SIDE": 128},
    "fires": {"FRAMES": 1},
    "folder": {"PLANTS": 8, "VIEWS": 1},
    "fss": {"IMAGES_PER_CLASS": 2},
    "lucchi_pp": {"SLICES": 2, "SIDE": 128},
    "pascal_context": {"COUNTS": {"train": 7, "val": 1}},
    "pets": {"COUNTS": {"trainval.txt": 5, "test.txt": 5}},
    "phrasecut": {"COUNTS": {"train": 3, "val": 1, "miniv": 1, "test": 1}},
    "qata": {"COUNTS": {"Train Set": 5, "Test Set": 5}},
    "voc": {"COUNTS": {"train": 5, "val": 2}},
}
WRITE = """import json, sys; from pathlib import Path; from promptseg import datasets
sample = datasets.load_sample(sys.argv[1])
vars(sample).update(json.loads(sys.argv[2]))
sample.write(Path("."), 0)"""


@DATASETS
def test_stand_in_is_small_and_has_the_layout_in_the_docstring(name, written_sample):
    found = contents(written_sample(name))
    assert not [path for path in found if any(part.startswith(".") for part in path.split("/"))]
    tops = {path.split("/")[0] for path in found}
    assert [top for top in tops if top not in datasets.load(name).__doc__] == [], "its docstring does not name these"
    sizes = [len(data) for data in found.values()]
    assert min(sizes) > 0 and sum(sizes) < MAX_BYTES


@DATASETS
def test_the_seed_determines_every_byte_in_any_process(name, tmp_path, monkeypatch):
    """In another process, where sets of strings have another order."""
    sample, constants = datasets.load_sample(name), SHRUNKEN.get(name, {})
    for key, value in constants.items():
        monkeypatch.setattr(sample, key, value)
    for folder in ("first", "other", "again"):
        (tmp_path / folder).mkdir()
    sample.write(tmp_path / "first", 0)
    sample.write(tmp_path / "other", 1)
    env = {**os.environ, "PYTHONPATH": str(STAGES), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", WRITE, name, json.dumps(constants)]
    done = subprocess.run(command, cwd=tmp_path / "again", env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, other, again = (contents(tmp_path / folder) for folder in ("first", "other", "again"))
    assert sorted(first) == sorted(again)
    assert [path for path in first if first[path] != again[path]] == []
    assert other and any(first.get(path) != data for path, data in other.items())


@READS
def test_stand_in_contains_every_class_in_different_images(case, written_sample):
    items = decoded(case, written_sample(case.reader))
    counts = Counter(label for item in items for label in item.labels)
    wanted = set(range(1, len(case.classes) + 1))
    if len(wanted) > SMALL:
        selected = {name for entry in case.entries() if entry.classes for name in selected_classes(entry)}
        wanted = {number for number, name in enumerate(case.classes, 1) if name in selected}
        assert wanted or len(counts) >= SMALL  # classes of point clouds cannot be selected
    assert [case.classes[label - 1] for label in sorted(wanted - set(counts))] == []
    assert len({item.image for item in items}) > 5, "its images are all the same"
    is_classification = getattr(case.module, "IS_CLASSIFICATION", False)
    assert is_classification or any(len(item.labels) > 1 for item in items), "no mask has two labels"


def selected_classes(entry: params.Dataset) -> Iterator[str]:
    if isinstance(entry.classes, dict):
        for merged in entry.classes.values():
            yield from merged
    else:
        yield from entry.classes


@pytest.mark.parametrize("entry", SETTINGS.datasets)
def test_verify_and_prepare_accept_the_stand_in(entry, written_sample, tmp_path):
    settings = SETTINGS.datasets[entry]
    raw = written_sample(settings.reader)
    *notes, last = verify.inspect(entry, settings, raw, official=False)
    assert [line for line in notes if f"{entry}: note: " not in line] == [] and last.endswith(", nothing wrong")
    case = next(case for case in CASES if case.name == (entry if settings.options else settings.reader))
    prepare.prepare(entry, settings, None, SETTINGS.seed, prepare.Paths(raw, tmp_path / "out", tmp_path / "out.json"))
    known = {item.sample.id: item for item in decoded(case, raw)}
    alike = getattr(case.module, "CHECK_DUPLICATES", False)
    ids, homes = Counter(), {}
    for split in split_assignment.SPLITS:
        stored = records.open_split(tmp_path / "out" / f"{split}.parquet")
        assert len(stored) or split == "val", split
        assert len(stored.metadata["words"]) == len(stored.metadata["classes"]) and stored.metadata["group_unit"]
        assert stored.metadata["dataset"] == entry and stored.metadata["title"] == case.module.TITLE
        allowed = {*range(len(stored.metadata["classes"]) + 1), IGNORED}
        for record in stored:
            item = known[record.source]
            ids[record.id] += 1
            assert homes.setdefault(record.group, split) == split
            assert record.group == item.sample.group or alike, "only images that are alike change their group"
            assert record.text == item.sample.text and bool(record.support_mask) is (item.sample.support is not None)
            assert item.sample.split in (None, split) or (item.sample.split, split) == ("train", "val")
            mask = records.mask(record)
            assert mask.shape == (record.height, record.width) and labels(mask) <= allowed
            assert record.foreground == ((mask > 0) & (mask < IGNORED)).sum() and (record.foreground or split == "test")
            whole = (record.height, record.width) == (record.source_height, record.source_width) == item.mask[0]
            if whole and settings.resize is None:
                assert record.id.startswith(record.source) and digest(image_io.decode_image(record.image)) == item.image
                file = item.sample.file
                if settings.tile is None and file and file.suffix in (".jpg", ".jpeg"):
                    assert record.image == file.read_bytes(), "a JPEG that is not tiled is not encoded again"
    assert set(ids.values()) == {1}
