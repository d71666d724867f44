"""ShapeNetPart: the official layout and part labels, and errors of one line for incomplete or damaged folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from promptseg import datasets
from promptseg.core import params
from promptseg.data import point_clouds, records
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.preprocessing import prepare
from refusing import refused

SIZES = [4, 2, 2, 4, 4, 3, 3, 2, 4, 2, 6, 2, 3, 3, 3, 3]  # parts of each category, as PointNet's code has them


@pytest.fixture
def folder(written_sample, tmp_path) -> Path:
    return shutil.copytree(written_sample("shapenet_part"), tmp_path / "raw")


@pytest.fixture
def chair(folder):
    sample = next(sample for sample in shapenet_part.read(folder) if sample.text == "chair")
    (path,) = folder.rglob(f"{sample.id.split('/')[1]}.txt")
    return sample, path


def test_the_50_parts_are_numbered_across_categories():
    assert [len(names) for names in shapenet_part.CLASSES_BY_CATEGORY.values()] == SIZES
    assert len(shapenet_part.CLASSES) == 50 and list(shapenet_part.SYNSETS) == sorted(shapenet_part.SYNSETS)
    starts = {name: shapenet_part.CLASSES.index(of[0]) for name, of in shapenet_part.CLASSES_BY_CATEGORY.items()}
    assert starts["table"] == 47 and starts["chair"] == 12 and starts["motorbike"] == 30
    assert sum(shapenet_part.SPLIT_SIZES.values()) == 16881


def test_image_and_mask_are_the_points_and_parts_of_the_file(folder, chair):
    sample, path = chair
    rows = np.loadtxt(path)
    selected = rows[np.arange(2048) * len(rows) // 2048]
    assert (sample.image() == point_clouds.encode(selected[:, :3])).all()
    assert (sample.mask() == selected[:, 6:].astype(int) + 1).all()
    assert {12, 13, 14, 15} == set(rows[:, 6].astype(int))
    before = [found.id for found in shapenet_part.read(folder)]
    path.unlink()  # a listed cloud that is missing is left out
    assert [found.id for found in shapenet_part.read(folder)] == [id for id in before if id != sample.id]


@pytest.mark.parametrize("label", ["11", "16", "-1", "50", "12.5"])
def test_a_part_of_another_category_is_an_error_that_names_the_line(chair, label):
    sample, path = chair
    lines = path.read_text().splitlines()
    lines[4] = " ".join([*lines[4].split()[:6], label])
    path.write_text("\n".join(lines) + "\n")
    refused(sample.mask, f"{path}: line 5: part {label}, but the parts of a chair are 12 to 15")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("[", "not a JSON list of clouds"),
        ("{}", "not a JSON list of clouds"),
        ('["shape_data/02691156"]', "'shape_data/02691156' is not a cloud"),
        ('["shape_data/00000000/a"]', "'shape_data/00000000/a' is not a cloud"),
        ('["shape_data/02691156/.."]', "is not a cloud"),
        ("[7]", "'7' is not a cloud"),
        ('["shape_data/02691156/a", "shape_data/02691156/a"]', "02691156/a is listed twice"),
        (None, "is also in train_test_split/shuffled_train_file_list.json"),
    ],
)
def test_an_invalid_list_is_an_error_of_one_line(folder, entries, message):
    train, _, test = (folder / shapenet_part.FOLDER / name for name in shapenet_part.LISTS.values())
    test.write_text(json.dumps(json.loads(train.read_text())[:1]) if entries is None else entries)
    refused(lambda: datasets.verify(shapenet_part, folder), "shuffled_test_file_list.json: ", message)


def test_prepared_records_list_the_parts_of_their_category_and_training_and_test_have_all(written_sample, tmp_path):
    settings = params.Dataset(raw="raw", reader="shapenet_part", options={"points": 128})
    raw = written_sample("shapenet_part")
    prepare.prepare("s", settings, 8, 0, prepare.Paths(raw, tmp_path / "out", tmp_path / "out.json"))
    split = records.open_split(tmp_path / "out" / "test.parquet")
    about = split.metadata
    assert point_clouds.is_point_cloud(about) and about["is_classification"] is False and len(split) == 8
    for record in split:
        numbers = about["classes_by_category"][record.text]
        assert set(np.unique(records.mask(record))) <= set(numbers)
        assert [about["classes"][i - 1] for i in numbers] == [*shapenet_part.CLASSES_BY_CATEGORY[record.text]]
    labels = {"train": set(), "val": set(), "test": set()}
    for sample in shapenet_part.read(raw):
        labels[sample.split] |= set(np.unique(sample.mask()).tolist())
    assert labels["train"] == labels["test"] == set(range(1, 51)) and labels["val"]
