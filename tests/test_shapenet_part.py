"""ShapeNetPart: its official layout, its parts' numbers, and what is wrong with a folder in one line."""

import json
import shutil

import numpy as np
import pytest
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import point_clouds, records
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.preprocessing import prepare

SIZES = [4, 2, 2, 4, 4, 3, 3, 2, 4, 2, 6, 2, 3, 3, 3, 3]  # parts of each category, as PointNet's code has them


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapenet_part")
    shapenet_part.sample(folder, 0)
    return folder


@pytest.fixture
def folder(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "raw")


@pytest.fixture
def test_list(folder):
    return folder / shapenet_part.FOLDER / shapenet_part.LISTS["test"]


def of_category(folder, category):
    return next(picture for picture in shapenet_part.read(folder) if picture.text == category)


def file_of(folder, picture):
    (path,) = folder.rglob(f"{picture.id.split('/')[1]}.txt")
    return path


def test_the_fifty_parts_are_numbered_through_the_categories():
    assert [len(names) for names in shapenet_part.CLASSES_BY_CATEGORY.values()] == SIZES
    assert len(shapenet_part.CLASSES) == 50 and list(shapenet_part.SYNSETS) == sorted(shapenet_part.SYNSETS)
    starts = {name: shapenet_part.CLASSES.index(of[0]) for name, of in shapenet_part.CLASSES_BY_CATEGORY.items()}
    assert starts["table"] == 47 and starts["chair"] == 12 and starts["motorbike"] == 30
    assert sum(shapenet_part.SPLIT_SIZES.values()) == 16881


def test_a_cloud_s_points_and_parts_are_the_file_s(folder):
    picture = of_category(folder, "chair")
    rows = np.loadtxt(file_of(folder, picture))
    taken = rows[np.arange(2048) * len(rows) // 2048]
    assert (picture.image() == point_clouds.encode(taken[:, :3])).all()
    assert (picture.mask() == taken[:, 6:].astype(int) + 1).all()
    assert {12, 13, 14, 15} == set(rows[:, 6].astype(int))


def test_a_listed_cloud_that_is_not_there_is_left_out(folder):
    before = [picture.id for picture in shapenet_part.read(folder)]
    picture = of_category(folder, "mug")
    file_of(folder, picture).unlink()
    assert [found.id for found in shapenet_part.read(folder)] == [id for id in before if id != picture.id]


@pytest.mark.parametrize("label", ["11", "16", "-1", "50", "12.5"])
def test_a_part_of_another_category_is_named(folder, label):
    picture = of_category(folder, "chair")
    path = file_of(folder, picture)
    lines = path.read_text().splitlines()
    lines[4] = " ".join([*lines[4].split()[:6], label])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"{path.name}: part {label} in line 5, where those of a chair are 12 to 15"):
        of_category(folder, "chair").mask()


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ("[", "no list of clouds in JSON"),
        ("{}", "no list of clouds in JSON"),
        ('["shape_data/02691156"]', "'shape_data/02691156' is no cloud"),
        ('["shape_data/00000000/a"]', "'shape_data/00000000/a' is no cloud"),
        ('["shape_data/02691156/.."]', "is no cloud"),
        ("[7]", "'7' is no cloud"),
        ('["shape_data/02691156/a", "shape_data/02691156/a"]', "02691156/a stands there twice"),
    ],
)
def test_a_wrong_list_is_one_line(folder, test_list, entries, complaint):
    test_list.write_text(entries)
    with pytest.raises(UserError, match=f"shuffled_test_file_list.json: .*{complaint}"):
        shapenet_part.verify(folder)


def test_a_cloud_in_two_lists_is_one_line(folder, test_list):
    train = json.loads((folder / shapenet_part.FOLDER / shapenet_part.LISTS["train"]).read_text())
    test_list.write_text(json.dumps(train[:1]))
    with pytest.raises(UserError, match="stands there twice, or in train_test_split/shuffled_train_file_list.json"):
        shapenet_part.verify(folder)


def test_prepared_rows_say_which_parts_they_can_show(folder, tmp_path):
    settings = params.Dataset(reader="shapenet_part", parts="clouds", options={"points": 128})
    prepare.prepare("s", settings, 8, 0, folder, tmp_path / "out", tmp_path / "out.json")
    rows = records.pairs(tmp_path / "out" / "test.parquet")
    assert point_clouds.is_cloud(rows.about) and rows.about["whole"] is False and len(rows) == 8
    for row in rows:
        assert set(np.unique(records.mask(row))) <= set(rows.about["among"][row.text])
        assert [rows.about["classes"][i - 1] for i in rows.about["among"][row.text]] == [*shapenet_part.CLASSES_BY_CATEGORY[row.text]]
