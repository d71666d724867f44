"""The sample of PhraseCut: its layout, and phrases that are true, of known words, and needed to tell things apart."""

import json
from pathlib import Path

import numpy as np
import pytest
import vocabulary
from promptseg.datasets.phrasecut import polygons
from promptseg.datasets.phrasecut import reader as phrasecut
from promptseg.synthetic import colors
from test_phrasecut import task


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("phrasecut")


def test_stand_in_has_the_official_layout(stand_in):
    root = stand_in / phrasecut.NAME
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


def test_stand_in_can_be_read(stand_in):
    phrasecut.verify(stand_in)
    samples = list(phrasecut.read(stand_in))
    groups = {split: {p.group for p in samples if p.split == split} for split in ("train", "val", "test")}
    assert {split: len(ids) for split, ids in groups.items()} == {"train": 10, "val": 4, "test": 8}
    assert not groups["train"] & groups["val"] | groups["train"] & groups["test"] | groups["val"] & groups["test"]
    for sample in samples:
        mask = sample.mask()
        assert sample.image().shape == (*mask.shape, 3) and 0.0005 < mask.mean() < 0.7, sample.id
    assert len({sample.text for sample in samples}) > 40
    masks_of_image = [[p.mask() for p in samples if p.group == group] for group in sorted(groups["test"])]
    assert all(not (a == b).all() for masks in masks_of_image for i, a in enumerate(masks) for b in masks[:i])


def tasks_of(stand_in: Path) -> list[dict]:
    return [entry for name in phrasecut.SPLITS for entry in json.loads((stand_in / phrasecut.NAME / name).read_text())]


def test_stand_in_needs_attributes_and_relations(stand_in):
    """Phrases that need an attribute or a relation, and some that refer to several objects."""
    tasks = tasks_of(stand_in)
    kinds = [entry["phrase_structure"]["type"] for entry in tasks]
    assert kinds.count("attribute") > 20 and kinds.count("relation") >= 8
    assert sum(len(entry["Polygons"]) > 1 for entry in tasks) > 15
    assert any("on the" in entry["phrase"] for entry in tasks) and any("striped" in entry["phrase"] for entry in tasks)


def test_phrases_of_the_stand_in_are_made_of_words_that_the_tiny_clip_knows(stand_in):
    known = set(vocabulary.words())
    for entry in tasks_of(stand_in):
        structure = entry["phrase_structure"]
        places = [word for relation in structure["relation_descriptions"] for word in relation]
        assert entry["phrase"] == " ".join([*structure["attributes"], structure["name"], *places])
        assert set(entry["phrase"].split()) <= known, entry["phrase"]


def test_phrases_of_the_stand_in_are_true(stand_in):
    """Of each traced instance: its color, size and place, as measured in the image."""
    checked, by_id = set(), {entry["task_id"]: entry for entry in tasks_of(stand_in)}
    for sample in phrasecut.read(stand_in):
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


def test_a_gray_threshold_does_not_segment_the_stand_in(stand_in):
    counts = np.zeros((2, 256), int)
    for sample in phrasecut.read(stand_in):
        gray, mask = sample.image().mean(axis=2).astype(np.uint8), sample.mask()
        for value in (0, 1):
            counts[value] += np.bincount(gray[mask == value], minlength=256)
    sides = [counts.cumsum(axis=1), counts[:, ::-1].cumsum(axis=1)]
    assert max((side[1] / (counts[1].sum() + side[0])).max() for side in sides) < 0.2
