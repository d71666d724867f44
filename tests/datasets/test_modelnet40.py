"""ModelNet40: the official layout, and errors of one line for incomplete or damaged folders."""

import shutil
from pathlib import Path

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
def stand_in(written_sample) -> Path:
    return written_sample("modelnet40")


@pytest.fixture
def folder(stand_in, tmp_path):
    return shutil.copytree(stand_in, tmp_path / "raw")


def test_the_40_classes_are_the_official_ones_in_order():
    assert len(modelnet40.CLASSES) == 40 and list(modelnet40.CLASS_FOLDERS) == sorted(modelnet40.CLASS_FOLDERS)
    assert modelnet40.CLASSES[23] == "night stand" and modelnet40.CLASSES[36] == "tv stand"
    assert sum(modelnet40.SPLIT_SIZES.values()) == 12311


def test_image_and_mask_are_the_points_of_the_file_and_its_class(folder):
    path = folder / modelnet40.FOLDER / "night_stand" / "night_stand_0003.txt"
    sample = next(sample for sample in modelnet40.read(folder) if sample.id == "night_stand/night_stand_0003")
    assert (sample.split, sample.text) == ("test", "")
    assert (sample.mask() == modelnet40.CLASSES.index("night stand") + 1).all()
    rows = np.loadtxt(path, delimiter=",")[:, :3]
    assert (sample.image() == point_clouds.encode(rows[np.arange(2048) * len(rows) // 2048])).all()


def test_the_option_points_sets_the_number_of_points(folder):
    sample = next(modelnet40.read(folder, modelnet40.Options(points=256)))
    assert sample.image().shape == (256, 2, 3) and sample.mask().shape == (256, 2)


def test_the_unpacked_folder_itself_is_accepted(folder):
    inner = [sample.id for sample in modelnet40.read(folder / modelnet40.FOLDER)]
    assert inner == [sample.id for sample in modelnet40.read(folder)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "modelnet40_test.txt: the list is empty"),
        ("\xff\xfe", "modelnet40_test.txt: not a list of names"),
        ("cup_0003\ncup_0003\n", "modelnet40_test.txt: cup_0003 is listed twice"),
        ("cup_0001\n", "modelnet40_test.txt: cup_0001 is also in modelnet40_train.txt"),
        ("../cup_0003\n", "modelnet40_test.txt: '../cup_0003' is not of a class of ModelNet40"),
        ("dragon_0001\n", "modelnet40_test.txt: 'dragon_0001' is not of a class of ModelNet40"),
        ("cup_0999\n", r"cup_0999.txt: not found, but listed in modelnet40_test.txt"),
    ],
)
def test_an_invalid_list_is_an_error_of_one_line(folder, text, message):
    (folder / modelnet40.FOLDER / LISTS[1]).write_text(text, "latin-1")
    with pytest.raises(UserError, match=message):
        modelnet40.verify(folder)
    with pytest.raises(UserError, match=message):
        modelnet40.read(folder)


@pytest.mark.parametrize("missing", LISTS)
def test_a_missing_list_is_an_error_of_one_line(folder, missing):
    (folder / modelnet40.FOLDER / missing).unlink()
    with pytest.raises(UserError, match=missing):
        modelnet40.verify(folder)


def test_a_cloud_with_wrong_columns_is_an_error_when_it_is_decoded(folder):
    path = folder / modelnet40.FOLDER / "cup" / "cup_0001.txt"
    path.write_text("1,2,3\n4,5,6\n")
    sample = next(sample for sample in modelnet40.read(folder) if sample.id == "cup/cup_0001")
    with pytest.raises(UserError, match="cup_0001.txt: line 1: expected 6 numbers"):
        sample.image()


@pytest.mark.parametrize("change", [{"tile": 256}, {"resize": 512}, {"classes": ["airplane"]}])
def test_point_clouds_cannot_be_tiled_resized_or_have_classes_selected(folder, tmp_path, change):
    settings = params.Dataset(raw="raw", reader="modelnet40", **change)
    message = f"^params.yaml: datasets.mine.{next(iter(change))}: not supported for point clouds; remove it$"
    with pytest.raises(UserError, match=message):
        datasets.modality("mine", settings)
    with pytest.raises(UserError, match=message):
        prepare.prepare("mine", settings, None, 0, prepare.Paths(folder, tmp_path / "out", tmp_path / "out.json"))
    assert not (tmp_path / "out").exists()


def test_modality_is_image_by_default():
    assert datasets.modality("em", params.Dataset(raw="raw", reader="em", tile=256)) == "image"
    assert datasets.modality("m", params.Dataset(raw="raw", reader="modelnet40")) == "point_cloud"


def test_verify_counts_points_instead_of_pixels(folder):
    lines = list(verify.inspect("m", params.Dataset(raw="raw", reader="modelnet40"), folder, official=False))
    assert lines == ["m: 84 samples in 2 splits, clouds of 2048 points, nothing wrong"]


def test_download_unpacks_the_official_archive(stand_in, tmp_path, monkeypatch):
    shutil.make_archive(str(tmp_path / "official"), "zip", stand_in)
    requested = []

    def fetch(url, path):
        requested.append(url)
        shutil.copy(tmp_path / "official.zip", path)

    monkeypatch.setattr(point_cloud_files, "fetch", fetch)
    (tmp_path / "raw").mkdir()
    modelnet40.download(tmp_path / "raw")
    assert requested == ["https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip"]
    modelnet40.verify(tmp_path / "raw")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [modelnet40.FOLDER]


def test_an_unreachable_server_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="modelnet40_normal_resampled.zip: no connection; .*download the files by hand"):
        modelnet40.download(tmp_path)
