"""ModelNet40: its official layout, and what is wrong with a folder in one line."""

import shutil

import numpy as np
import pytest
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import point_cloud_files, point_clouds
from promptseg.datasets.modelnet40 import reader as modelnet40
from promptseg.preprocessing import prepare

LISTS = ("modelnet40_train.txt", "modelnet40_test.txt")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modelnet40")
    modelnet40.sample(folder, 0)
    return folder


@pytest.fixture
def folder(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "raw")


def test_the_forty_classes_are_the_official_ones_in_their_order():
    assert len(modelnet40.CLASSES) == 40 and list(modelnet40.KINDS) == sorted(modelnet40.KINDS)
    assert modelnet40.CLASSES[23] == "night stand" and modelnet40.CLASSES[36] == "tv stand"
    assert sum(modelnet40.SPLIT_SIZES.values()) == 12311


def test_a_cloud_is_the_file_s_points_and_its_mask_the_kind(folder):
    path = folder / modelnet40.FOLDER / "night_stand" / "night_stand_0003.txt"
    picture = next(picture for picture in modelnet40.read(folder) if picture.id == "night_stand/night_stand_0003")
    assert (picture.split, picture.text) == ("test", "")
    assert (picture.mask() == modelnet40.CLASSES.index("night stand") + 1).all()
    rows = np.loadtxt(path, delimiter=",")[:, :3]
    assert (picture.image() == point_clouds.encode(rows[np.arange(2048) * len(rows) // 2048])).all()


def test_points_says_how_many_are_taken(folder):
    picture = next(modelnet40.read(folder, modelnet40.Options(points=256)))
    assert picture.image().shape == (256, 2, 3) and picture.mask().shape == (256, 2)


def test_the_folder_itself_can_be_given(folder):
    inner = [picture.id for picture in modelnet40.read(folder / modelnet40.FOLDER)]
    assert inner == [picture.id for picture in modelnet40.read(folder)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "modelnet40_test.txt: empty"),
        ("\xff\xfe", "modelnet40_test.txt: no list of names"),
        ("cup_0003\ncup_0003\n", "modelnet40_test.txt: cup_0003 stands there twice"),
        ("cup_0001\n", "modelnet40_test.txt: cup_0001 stands there twice, or in modelnet40_train.txt"),
        ("../cup_0003\n", "modelnet40_test.txt: '../cup_0003' is of no kind of ModelNet40"),
        ("dragon_0001\n", "modelnet40_test.txt: 'dragon_0001' is of no kind of ModelNet40"),
        ("cup_0999\n", r"cup_0999.txt: not found, but modelnet40_test.txt names it"),
    ],
)
def test_a_wrong_list_is_one_line(folder, text, complaint):
    (folder / modelnet40.FOLDER / LISTS[1]).write_text(text, "latin-1")
    with pytest.raises(UserError, match=complaint):
        modelnet40.verify(folder)
    with pytest.raises(UserError, match=complaint):
        modelnet40.read(folder)


@pytest.mark.parametrize("missing", LISTS)
def test_a_missing_list_is_one_line(folder, missing):
    (folder / modelnet40.FOLDER / missing).unlink()
    with pytest.raises(UserError, match=missing):
        modelnet40.verify(folder)


def test_a_cloud_of_wrong_columns_is_named_when_it_is_read(folder):
    path = folder / modelnet40.FOLDER / "cup" / "cup_0001.txt"
    path.write_text("1,2,3\n4,5,6\n")
    picture = next(picture for picture in modelnet40.read(folder) if picture.id == "cup/cup_0001")
    with pytest.raises(UserError, match="cup_0001.txt: line 1 should be 6 numbers"):
        picture.image()


@pytest.mark.parametrize("change", [{"tile": 256}, {"resize": 512}, {"classes": ["airplane"]}])
def test_clouds_are_neither_cut_nor_resized_nor_selected(folder, tmp_path, change):
    settings = params.Dataset(reader="modelnet40", parts="clouds", **change)
    with pytest.raises(UserError, match=f"^params.yaml: datasets.mine.{next(iter(change))}: its pictures are clouds"):
        prepare.prepare("mine", settings, None, 0, folder, tmp_path / "out", tmp_path / "out.json")
    assert not (tmp_path / "out").exists() and datasets.kind("em", params.Dataset(reader="em", tile=256)) == "picture"


def test_inspect_counts_points_and_not_pixels(folder):
    lines = list(verify.inspect("m", params.Dataset(reader="modelnet40", parts="clouds"), folder, official=False))
    assert lines == ["m: 84 pairs in 2 splits, clouds of 2048 points, nothing wrong"]


def test_download_fetches_the_official_archive_and_unpacks_it(drawn, tmp_path, monkeypatch):
    shutil.make_archive(str(tmp_path / "official"), "zip", drawn)
    asked = []

    def fetched(url, path):
        asked.append(url)
        shutil.copy(tmp_path / "official.zip", path)

    monkeypatch.setattr(point_cloud_files, "fetch", fetched)
    (tmp_path / "raw").mkdir()
    modelnet40.download(tmp_path / "raw")
    assert asked == ["https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip"]
    modelnet40.verify(tmp_path / "raw")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [modelnet40.FOLDER]


def test_a_server_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="modelnet40_normal_resampled.zip: no connection; .*download it by hand"):
        modelnet40.download(tmp_path)
