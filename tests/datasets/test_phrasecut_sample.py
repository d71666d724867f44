"""The sample of PhraseCut: its layout, and phrases that are true, of known words, and needed to tell things apart."""

import json

import numpy as np
import pytest
import vocabulary
from gray_threshold import best_iou, histogram
from promptseg.datasets.phrasecut import polygons
from promptseg.datasets.phrasecut import reader as phrasecut
from promptseg.synthetic import colors
from test_phrasecut import task


@pytest.fixture(scope="module")
def root(written_sample):
    return written_sample("phrasecut") / phrasecut.NAME


@pytest.fixture(scope="module")
def tasks(root) -> dict[str, list[dict]]:
    return {name: json.loads((root / name).read_text()) for name in phrasecut.SPLITS}


@pytest.fixture(scope="module")
def samples(root) -> list:
    phrasecut.verify(root.parent)
    return list(phrasecut.read(root.parent))


def test_stand_in_has_the_official_layout(root, tasks):
    splits = {entry["image_id"]: entry["split"] for entry in json.loads((root / phrasecut.INFO).read_text())}
    assert sorted(splits.values()) == ["miniv"] + ["test"] * 8 + ["train"] * 10 + ["val"] * 3
    assert {path.name for path in (root / "images").iterdir()} == {f"{id}.jpg" for id in splits}
    for name, entries in tasks.items():
        for entry in entries:
            assert entry.keys() == task(1, 1).keys()
            assert entry["phrase_structure"].keys() == task(1, 1)["phrase_structure"].keys()
            assert entry["phrase_structure"]["type"] in ("name", "attribute", "relation")
            assert len(entry["ann_ids"]) == len(entry["instance_boxes"]) == len(entry["Polygons"]) >= 1
            assert entry["task_id"] == f"{entry['image_id']}__{'_'.join(map(str, entry['ann_ids']))}"
            assert name == f"refer_{splits[entry['image_id']]}.json"


def test_stand_in_can_be_read_and_is_not_solved_by_a_threshold(samples):
    groups = {split: {p.group for p in samples if p.split == split} for split in ("train", "val", "test")}
    assert {split: len(ids) for split, ids in groups.items()} == {"train": 10, "val": 4, "test": 8}
    assert len(set.union(*groups.values())) == 22
    for sample in samples:
        mask = sample.mask()
        assert sample.image().shape == (*mask.shape, 3) and 0.0005 < mask.mean() < 0.7, sample.id
    assert len({sample.text for sample in samples}) > 40
    different = {(p.group, p.mask().tobytes()) for p in samples if p.split == "test"}
    assert len(different) == sum(p.split == "test" for p in samples)
    assert best_iou(histogram(samples), 1) < 0.2


def test_stand_in_needs_attributes_and_relations_of_words_that_the_tiny_clip_knows(tasks):
    """Phrases that need an attribute or a relation, and some that refer to several objects."""
    every, known = [entry for entries in tasks.values() for entry in entries], set(vocabulary.words())
    kinds = [entry["phrase_structure"]["type"] for entry in every]
    assert kinds.count("attribute") > 20 and kinds.count("relation") >= 8
    assert sum(len(entry["Polygons"]) > 1 for entry in every) > 15
    assert any("on the" in entry["phrase"] for entry in every) and any("striped" in entry["phrase"] for entry in every)
    for entry in every:
        structure = entry["phrase_structure"]
        places = [word for relation in structure["relation_descriptions"] for word in relation]
        assert entry["phrase"] == " ".join([*structure["attributes"], structure["name"], *places])
        assert set(entry["phrase"].split()) <= known, entry["phrase"]


def test_phrases_of_the_stand_in_are_true(tasks, samples):
    """Of each traced instance: its color, size and place, as measured in the image."""
    checked, by_id = set(), {entry["task_id"]: entry for entries in tasks.values() for entry in entries}
    for sample in samples:
        entry = by_id[sample.id.split("/")[1]]
        assert sample.text == entry["phrase"]
        image, structure = sample.image(), entry["phrase_structure"]
        assert structure["name"].endswith("s") == (len(entry["Polygons"]) > 1)
        for instance in entry["Polygons"]:
            mask = polygons.rasterize(polygons.pack([instance]), image.shape[1::-1]) > 0
            y, x = np.argwhere(mask).mean(axis=0) / mask.shape
            holds = {"left": x < 0.4, "right": x > 0.6, "top": y < 0.4, "bottom": y > 0.6,
                     "middle": max(abs(x - 0.5), abs(y - 0.5)) < 0.15,
                     "small": mask.mean() < 0.012, "large": mask.mean() > 0.065}  # fmt: skip
            named = colors.color_names((image[mask].mean(axis=0) / 255).astype(np.float32))[1]
            holds |= {name: name in named for name in colors.NAMES}
            places = [place for _, place in structure["relation_descriptions"]]
            for word in [*structure["attributes"], *places]:
                assert holds.get(word, True), (entry["phrase"], sample.id)
                checked.add(word)
    assert len(checked & set(holds)) > 12
