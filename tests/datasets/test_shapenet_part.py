"""ShapeNetPart: the official layout and part labels, and errors of one line for incomplete or damaged folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import point_clouds, records
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.preprocessing import prepare

SIZES = [4, 2, 2, 4, 4, 3, 3, 2, 4, 2, 6, 2, 3, 3, 3, 3]  # parts of each category, as PointNet's code has them


@pytest.fixture(scope="module")
def stand_in(written_sample) -> Path:
    return written_sample("shapenet_part")


@pytest.fixture
def folder(stand_in, tmp_path):
    return shutil.copytree(stand_in, tmp_path / "raw")


@pytest.fixture
def list_file(folder):
    return folder / shapenet_part.FOLDER / shapenet_part.LISTS["test"]


def first_of(folder, category):
    return next(sample for sample in shapenet_part.read(folder) if sample.text == category)


def file_of(folder, sample):
    (path,) = folder.rglob(f"{sample.id.split('/')[1]}.txt")
    return path


def test_the_50_parts_are_numbered_across_categories():
    assert [len(names) for names in shapenet_part.CLASSES_BY_CATEGORY.values()] == SIZES
    assert len(shapenet_part.CLASSES) == 50 and list(shapenet_part.SYNSETS) == sorted(shapenet_part.SYNSETS)
    starts = {name: shapenet_part.CLASSES.index(of[0]) for name, of in shapenet_part.CLASSES_BY_CATEGORY.items()}
    assert starts["table"] == 47 and starts["chair"] == 12 and starts["motorbike"] == 30
    assert sum(shapenet_part.SPLIT_SIZES.values()) == 16881


def test_image_and_mask_are_the_points_and_parts_of_the_file(folder):
    sample = first_of(folder, "chair")
    rows = np.loadtxt(file_of(folder, sample))
    selected = rows[np.arange(2048) * len(rows) // 2048]
    assert (sample.image() == point_clouds.encode(selected[:, :3])).all()
    assert (sample.mask() == selected[:, 6:].astype(int) + 1).all()
    assert {12, 13, 14, 15} == set(rows[:, 6].astype(int))


def test_stand_in_has_all_50_parts_in_training_and_test(folder):
    labels = {"train": set(), "val": set(), "test": set()}
    for sample in shapenet_part.read(folder):
        labels[sample.split] |= set(np.unique(sample.mask()).tolist())
    assert labels["train"] == labels["test"] == set(range(1, 51)) and labels["val"]


def test_a_listed_cloud_that_is_missing_is_left_out(folder):
    before = [sample.id for sample in shapenet_part.read(folder)]
    removed = first_of(folder, "mug")
    file_of(folder, removed).unlink()
    assert [sample.id for sample in shapenet_part.read(folder)] == [id for id in before if id != removed.id]


@pytest.mark.parametrize("label", ["11", "16", "-1", "50", "12.5"])
def test_a_part_of_another_category_is_an_error_that_names_the_line(folder, label):
    sample = first_of(folder, "chair")
    path = file_of(folder, sample)
    lines = path.read_text().splitlines()
    lines[4] = " ".join([*lines[4].split()[:6], label])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"{path.name}: line 5: part {label}, but the parts of a chair are 12 to 15"):
        first_of(folder, "chair").mask()


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
    ],
)
def test_an_invalid_list_is_an_error_of_one_line(folder, list_file, entries, message):
    list_file.write_text(entries)
    with pytest.raises(UserError, match=f"shuffled_test_file_list.json: .*{message}"):
        shapenet_part.verify(folder)


def test_a_cloud_in_two_lists_is_an_error_of_one_line(folder, list_file):
    train = json.loads((folder / shapenet_part.FOLDER / shapenet_part.LISTS["train"]).read_text())
    list_file.write_text(json.dumps(train[:1]))
    with pytest.raises(UserError, match="is also in train_test_split/shuffled_train_file_list.json"):
        shapenet_part.verify(folder)


def test_prepared_records_list_the_parts_of_their_category(folder, tmp_path):
    settings = params.Dataset(raw="raw", reader="shapenet_part", options={"points": 128})
    prepare.prepare("s", settings, 8, 0, prepare.Paths(folder, tmp_path / "out", tmp_path / "out.json"))
    split = records.open_split(tmp_path / "out" / "test.parquet")
    assert (
        point_clouds.is_point_cloud(split.metadata) and split.metadata["is_classification"] is False and len(split) == 8
    )
    for record in split:
        assert set(np.unique(records.mask(record))) <= set(split.metadata["classes_by_category"][record.text])
        names = [split.metadata["classes"][i - 1] for i in split.metadata["classes_by_category"][record.text]]
        assert names == [*shapenet_part.CLASSES_BY_CATEGORY[record.text]]
