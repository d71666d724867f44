"""COCO, label images and FiftyOne: the same masks and scores as the run's own files."""

import json
import subprocess
import sys

import export_project
import numpy as np
import pandas as pd
import pytest
from export_project import exported, project
from PIL import Image
from promptseg.data import records
from promptseg.evaluation import counts
from promptseg.export import images
from promptseg.export.images import LabelMap
from pycocotools.coco import COCO

__all__ = ["exported", "project"]  # fixtures

RUN = "cells-sam"


@pytest.fixture(scope="module")
def label_maps(project):
    """Ground truth and prediction of each image of RUN, by id, from the pipeline's files."""
    home, _ = project
    split = records.open_split(home / "data/prepared/cells/test.parquet")
    predictions = records.open_predictions(home / f"data/predictions/{RUN}.parquet")
    pairs = zip(split, predictions, strict=True)
    return {r.id: (records.mask(r), counts.label_map(records.unpack(p, 2))) for r, p in pairs}


def ious(project):
    table = pd.read_parquet(project[0] / f"data/scores/{RUN}.parquet")
    return {
        id: None if np.isnan(iou) else pytest.approx(iou, abs=1e-6)
        for id, iou in table.groupby("id").iou.mean().items()
    }


def test_coco_reads_back_with_the_same_masks_and_scores(exported, project, label_maps):
    folder = exported(RUN, "coco")
    for which, file in enumerate(("ground_truth.json", "predictions.json")):
        coco = COCO(folder / file)
        assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == export_project.CLASSES
        assert {each["promptseg_id"]: each["iou"] for each in coco.dataset["images"]} == ious(project)
        for image in coco.dataset["images"]:
            annotations = coco.loadAnns(coco.getAnnIds(image["id"]))
            labels = np.zeros(export_project.SIZE, np.uint8)
            for each in annotations:
                mask = coco.annToMask(each).astype(bool)
                labels[mask] = each["category_id"]
                left, top, width, height = each["bbox"]
                assert each["area"] == mask.sum() == mask[top : top + height, left : left + width].sum()
                assert ("score" in each) == (which == 1) and 0.5 <= each.get("score", 0.5) <= 1
            assert np.array_equal(labels, label_maps[image["promptseg_id"]][which])
            assert Image.open(folder / "images" / image["file_name"]).size == (image["width"], image["height"])
    truth = json.loads((folder / "ground_truth.json").read_text())
    assert len(truth["annotations"]) == 5 * 3  # instances, of which two of a class touch


def test_label_images_have_class_indices_instances_and_the_table_of_scores(exported, project, label_maps):
    folder = exported(RUN, "labels")
    for id, (target, predicted) in label_maps.items():
        for name, expected in (("ground_truth", target), ("predictions", predicted)):
            labels = np.array(Image.open(folder / name / f"{id}.png"))
            numbers = np.array(Image.open(folder / f"{name}_instances" / f"{id}.png"))
            assert labels.dtype == np.uint8 and np.array_equal(labels, expected)
            assert numbers.dtype == np.uint16 and np.array_equal(numbers > 0, expected > 0)
        assert (folder / "images" / f"{id}.png").is_file()
    assert json.loads((folder / "classes.json").read_text()) == {"1": "disc", "2": "square"}
    table = pd.read_parquet(project[0] / f"data/scores/{RUN}.parquet")
    pd.testing.assert_frame_equal(pd.read_csv(folder / "scores.csv"), table, check_dtype=False)


def test_fiftyone_has_an_entry_for_each_image_whose_files_are_there(exported, project):
    folder = exported(RUN, "fiftyone")
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    assert {each["promptseg_id"]: each.get("iou") for each in samples} == ious(project)
    for each in samples:
        assert (folder / each["filepath"]).is_file()
        assert all((folder / each[field]["mask_path"]).is_file() for field in ("ground_truth", "predictions"))
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["info"]["default_mask_targets"] == {"1": "disc", "2": "square"} and "version" not in metadata


OPEN_IN_FIFTYONE = """
import sys
import fiftyone
dataset = fiftyone.Dataset.from_dir(sys.argv[1], dataset_type=fiftyone.types.FiftyOneDataset)
assert dataset.default_mask_targets == {1: "disc", 2: "square"}, dataset.default_mask_targets
for sample in dataset:
    print(sample.promptseg_id, sample.predictions.get_mask().sum(), sample.ground_truth.get_mask().sum())
"""


def test_fiftyone_opens_it(exported, label_maps, tmp_path, monkeypatch):
    pytest.importorskip("fiftyone")
    monkeypatch.setenv("FIFTYONE_DATABASE_DIR", str(tmp_path / "database"))
    command = [sys.executable, "-c", OPEN_IN_FIFTYONE, str(exported(RUN, "fiftyone"))]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    expected = [f"{id} {predicted.sum()} {target.sum()}" for id, (target, predicted) in label_maps.items()]
    assert lines[-len(expected) :] == expected


def test_tiles_are_put_together_with_their_instances():
    numbers = np.arange(1, 25, dtype=np.uint16).reshape(4, 6)
    png = images.image_io.encode_png
    tiles = [
        records.Record(
            f"t{left}", "g", b"", b"", 4, 3, "t", 0, left, 4, 6, foreground=1,
            instances=png(np.ascontiguousarray(numbers[:, left : left + 3])),
        )
        for left in (0, 3)
    ]  # fmt: skip
    assert np.array_equal(images._instances(tiles, (4, 6)), numbers)
    assert np.array_equal(images._instances(tiles[1:], (4, 3)), numbers[:, 3:])


@pytest.mark.parametrize(
    ("instances", "expected"),
    [(None, [(1, 5), (2, 1)]), (np.zeros((3, 4), np.uint16), [(1, 4), (1, 1), (2, 1)])],
)
def test_regions_are_classes_or_components_where_instances_are_told_apart(instances, expected):
    labels = np.array([[1, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 2]], np.uint8)
    assert [(label, region.mask.sum()) for label, region in LabelMap(labels, instances).regions(2)] == expected
