"""Paths that the user wrote, also in the copies of the project that DVC runs experiments in."""

from pathlib import Path

import pytest
from promptseg.core import params, user_paths
from promptseg.download import checkpoints, raw_data
from refusing import refused


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A temporary experiment of a project in a subfolder of its repository; returns the project."""
    project = tmp_path / "work/repository/segmentation"
    copy = tmp_path / "work/repository/.dvc/tmp/exps/standalone/tmp1a2b3c/segmentation"
    for folder in (project, copy):
        folder.mkdir(parents=True)
    monkeypatch.chdir(copy)
    return project


def test_a_relative_path_leads_from_a_temporary_experiment_to_where_it_leads_from_the_project(copy, tmp_path):
    (tmp_path / "work/leaves").mkdir()
    (copy / "weights.pth").touch()
    assert user_paths.resolve("../../leaves").resolve() == tmp_path / "work/leaves"
    assert user_paths.resolve("weights.pth").resolve() == copy / "weights.pth"
    assert user_paths.resolve("nowhere") == Path("nowhere") and user_paths.resolve("/nowhere") == Path("/nowhere")
    Path("weights.pth").touch()  # the copy's own comes first
    assert user_paths.resolve("weights.pth") == Path("weights.pth")


@pytest.mark.parametrize("here", [".", ".dvc/tmp", "exps/standalone/tmp1a2b3c", "dvc/tmp/exps/standalone/tmp1"])
def test_no_other_folder_is_taken_for_a_temporary_experiment(here, tmp_path, monkeypatch):
    (tmp_path / "weights.pth").touch()
    (tmp_path / "inner" / here).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "inner" / here)
    assert user_paths.resolve("../weights.pth") == Path("../weights.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_paths.resolve("~/weights.pth") == tmp_path / "weights.pth"


def test_the_sources_of_checkpoints_and_downloads_are_found_from_a_temporary_experiment(copy, tmp_path):
    (copy.parent / "sam.pth").write_bytes(b"no weights")
    settings = params.Model(source="../sam.pth")
    found = copy / "../sam.pth"
    refused(lambda: checkpoints.released("sam", settings, "../sam.pth", 0), str(found), "it is not opened")
    (copy.parent / "archives").mkdir()
    download = params.Download(reader="pets", source="../archives")
    out, scale = tmp_path / "out", params.Scale(data="sample", checkpoints="tiny", max_images=4)
    refused(lambda: raw_data.obtain("pets", download, scale, 0, out), "archives is a folder; set datasets.pets.raw")
