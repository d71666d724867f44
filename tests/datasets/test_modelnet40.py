"""ModelNet40: the official layout, and errors of one line for incomplete or damaged folders."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from promptseg import datasets
from promptseg.cli import verify
from promptseg.core import params
from promptseg.data import point_clouds
from promptseg.datasets.modelnet40 import reader as modelnet40
from promptseg.datasets.shapenet_part import reader as shapenet_part
from promptseg.download import http
from promptseg.preprocessing import prepare
from refusing import refused

TEST_LIST = "modelnet40_test.txt"


@pytest.fixture
def folder(written_sample, tmp_path) -> Path:
    return shutil.copytree(written_sample("modelnet40"), tmp_path / "raw")


def test_the_40_classes_are_the_official_ones_in_order():
    assert len(modelnet40.CLASSES) == 40 and list(modelnet40.CLASS_FOLDERS) == sorted(modelnet40.CLASS_FOLDERS)
    assert modelnet40.CLASSES[23] == "night stand" and modelnet40.CLASSES[36] == "tv stand"
    assert sum(modelnet40.SPLIT_SIZES.values()) == 12311


def test_image_and_mask_are_the_points_of_the_file_and_its_class(folder):
    root, id = folder / modelnet40.FOLDER, "night_stand/night_stand_0003"
    samples = {sample.id: sample for sample in modelnet40.read(folder)}
    assert [sample.id for sample in modelnet40.read(root)] == list(samples)  # the unpacked folder itself
    assert (samples[id].split, samples[id].text) == ("test", "")
    rows = np.loadtxt(root / f"{id}.txt", delimiter=",")[:, :3]
    options = modelnet40.Options(points=256)
    fewer = next(sample for sample in modelnet40.read(folder, options) if sample.id == id)
    for sample, count in ((samples[id], 2048), (fewer, 256)):
        assert (sample.image() == point_clouds.encode(rows[np.arange(count) * len(rows) // count])).all()
        assert sample.mask().shape == (count, 2) and (sample.mask() == 24).all()
    (root / f"{id}.txt").write_text("1,2,3\n4,5,6\n")
    refused(samples[id].image, "night_stand_0003.txt: line 1: expected 6 numbers")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "modelnet40_test.txt: the list is empty"),
        ("\xff\xfe", "modelnet40_test.txt: not a list of names"),
        ("cup_0003\ncup_0003\n", "modelnet40_test.txt: cup_0003 is listed twice"),
        ("cup_0001\n", "modelnet40_test.txt: cup_0001 is also in modelnet40_train.txt"),
        ("../cup_0003\n", "modelnet40_test.txt: '../cup_0003' is not of a class of ModelNet40"),
        ("dragon_0001\n", "modelnet40_test.txt: 'dragon_0001' is not of a class of ModelNet40"),
        ("cup_0999\n", "cup_0999.txt: not found, but listed in modelnet40_test.txt"),
    ],
)
def test_an_invalid_list_is_an_error_of_one_line(folder, text, message):
    (folder / modelnet40.FOLDER / TEST_LIST).write_text(text, "latin-1")
    refused(lambda: modelnet40.read(folder), message)


def test_a_missing_list_is_an_error_of_one_line(folder):
    for name in (TEST_LIST, "modelnet40_train.txt"):
        (folder / modelnet40.FOLDER / name).unlink()
        refused(lambda: datasets.verify(modelnet40, folder), name)


@pytest.mark.parametrize("change", [{"tile": 256}, {"resize": 512}, {"classes": ["airplane"]}])
def test_point_clouds_cannot_be_tiled_resized_or_have_classes_selected(tmp_path, change):
    settings = params.Dataset(raw="raw", reader="modelnet40", **change)
    message = f"params.yaml: datasets.mine.{next(iter(change))}: not supported for point clouds; remove it"
    refused(lambda: datasets.modality("mine", settings), message)
    paths = prepare.Paths(tmp_path, tmp_path / "out", tmp_path / "out.json")
    refused(lambda: prepare.prepare("mine", settings, None, 0, paths), message)
    assert not (tmp_path / "out").exists()


def test_modality_is_image_by_default_and_verify_counts_points_instead_of_pixels(written_sample):
    settings = params.Dataset(raw="raw", reader="modelnet40")
    assert datasets.modality("em", params.Dataset(raw="raw", reader="em", tile=256)) == "image"
    assert datasets.modality("m", settings) == "point_cloud"
    lines = list(verify.inspect("m", settings, written_sample("modelnet40"), official=False))
    assert lines == ["m: 84 samples in 2 splits, clouds of 2048 points, nothing wrong"]


@pytest.mark.parametrize(
    "reader, address",
    [
        (modelnet40, "modelnet40_normal_resampled.zip"),
        (shapenet_part, "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip"),
    ],
)
def test_download_unpacks_the_official_archive(written_sample, tmp_path, monkeypatch, reader, address):
    requested, sample = [], written_sample(reader.__name__.split(".")[-2])

    def fetch(url, path):
        requested.append(url)
        with zipfile.ZipFile(path, "w") as archive:
            for file in sample.rglob("*.*"):
                archive.write(file, file.relative_to(sample))

    monkeypatch.setattr(http, "fetch", fetch)
    reader.download(tmp_path)
    assert requested == [f"https://shapenet.cs.stanford.edu/media/{address}"]
    datasets.verify(reader, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [reader.FOLDER]


def test_an_unreachable_server_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    words = ("modelnet40_normal_resampled.zip: no connection; ", "download the files by hand")
    refused(lambda: modelnet40.download(tmp_path), *words)
