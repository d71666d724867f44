"""Raw data: samples, downloads and archives arrive whole or not at all, and the user's files are not changed."""

import os
import shutil
import sys
import types
import zipfile

import numpy as np
import pytest
from promptseg import datasets
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.download import raw_data

NAMES = pytest.mark.parametrize("name", datasets.names())


def obtain(name, folder, source=None, data="sample", seed=0):
    settings = types.SimpleNamespace(reader=name, source=source)
    raw_data.obtain(name, settings, params.Scale(data=data), seed, folder)


def refused(*arguments, **settings) -> str:
    with pytest.raises(UserError) as caught:
        obtain(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(folder) -> dict[str, bytes | None]:
    """Contents of a folder, hidden files too: the bytes of a file, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def pack(folder, archive):
    """Pack a folder into an archive, below its own name."""
    kind = "zip" if archive.suffix == ".zip" else "tar" if archive.suffix == ".tar" else "gztar"
    shutil.move(shutil.make_archive(str(archive.with_name("made")), kind, folder.parent, folder.name), archive)


@pytest.fixture
def files(tmp_path):
    """A folder as a user of the fires dataset has it."""
    folder = tmp_path / "files" / "bdfire"
    folder.mkdir(parents=True)
    for name in ("001_rgb", "001_gt", "002_rgb", "002_gt", "seq05_rgb_001", "seq05_gt_001", "seq05_nir_001"):
        (folder / f"{name}.png").write_bytes(image_io.encode_png(np.full((4, 6), len(name), np.uint8)))
    (folder / "data.csv").write_text('"name"\n')
    return folder.parent


@pytest.fixture
def archive(files, tmp_path):
    """The user's files as an archive."""
    pack(files / "bdfire", tmp_path / "fires.zip")
    return tmp_path / "fires.zip"


@pytest.fixture
def out(tmp_path):
    """The output, alone in its folder, so that leftovers are noticed."""
    return tmp_path / "data" / "raw"


def nothing_left(out) -> bool:
    return not out.parent.exists() or os.listdir(out.parent) == []


@pytest.fixture
def sample(monkeypatch):
    """Replace the writer of every sample by a function of the folder and the seed."""

    def replace(write):
        monkeypatch.setattr(datasets, "load_sample", lambda name: types.SimpleNamespace(write=write), raising=False)

    return replace


@NAMES
@pytest.mark.parametrize("source, data", [(None, "sample"), ("sample", "official")])
def test_the_sample_of_every_dataset_is_written_with_the_seed(out, name, source, data, monkeypatch, sample):
    calls = []
    sample(lambda folder, seed: calls.append(("sample", os.listdir(folder), seed)))
    monkeypatch.setattr(datasets.load(name), "verify", lambda folder, *options: calls.append("verify"))
    obtain(name, out, source=source, data=data, seed=7)
    assert calls == [("sample", [], 7), "verify"] and out.is_dir()


def test_the_sample_of_the_reader_is_written(out, monkeypatch):
    names = []
    fake = types.SimpleNamespace(write=lambda folder, seed: None)
    monkeypatch.setattr(datasets, "load_sample", lambda name: names.append(name) or fake, raising=False)
    monkeypatch.setattr(datasets.load("fires"), "verify", lambda folder: None)
    settings = types.SimpleNamespace(reader="fires", source="sample")
    raw_data.obtain("mine", settings, params.Scale(data="official"), 0, out)
    assert names == ["fires"]


def test_the_source_of_the_entry_comes_before_the_scale(files, archive, out):
    for data in ("sample", "official"):
        obtain("fires", out, source=str(archive), data=data)
        assert contents(out) == contents(files)


def test_a_folder_without_archives_is_used_where_it_is(files, out):
    before = contents(files)
    (files / "bdfire" / "more.zip").write_bytes(b"not at the top")
    message = refused("fires", out, source=str(files))
    expected = f"{files} is a folder; set datasets.fires.raw to it, and remove download.fires"
    assert message == f"params.yaml: download.fires.source: {expected}" and nothing_left(out)
    (files / "bdfire" / "more.zip").unlink()
    assert contents(files) == before


def test_hidden_archives_do_not_count(files, out):
    pack(files / "bdfire", files / ".fires.zip")
    assert "is a folder; set datasets.fires.raw" in refused("fires", out, source=str(files))


def test_an_archive_in_the_home_folder_may_be_given_with_a_tilde(files, archive, out, monkeypatch):
    monkeypatch.setenv("HOME", str(archive.parent))
    obtain("fires", out, source="~/fires.zip")
    assert contents(out) == contents(files)


@pytest.mark.parametrize("name", ["fires.zip", "fires.tar", "fires.tar.gz", "Fires.TGZ"])
def test_an_archive_is_unpacked_and_not_changed(files, out, tmp_path, name):
    archive = tmp_path / name
    pack(files / "bdfire", archive)
    before = archive.read_bytes()
    obtain("fires", out, source=str(archive))
    assert contents(out) == contents(files) and archive.read_bytes() == before


@pytest.mark.parametrize("linked", [False, True])
def test_all_archives_at_the_top_of_a_folder_are_unpacked(files, out, tmp_path, linked):
    folder = tmp_path / "archives"
    folder.mkdir()
    for name in ("001_rgb", "seq05_gt_001"):
        extra = tmp_path / name / "bdfire"
        extra.mkdir(parents=True)
        shutil.copy(files / "bdfire" / f"{name}.png", extra)
        pack(extra, folder / f"{name}.zip")
    pack(files / "bdfire", folder / "all.tar.gz")  # files that are in two archives are compared
    (folder / "notes.txt").write_text("not copied")
    before = contents(folder)
    if linked:
        (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    obtain("fires", out, source=str(tmp_path / "link" if linked else folder))
    assert contents(out) == contents(files) and contents(folder) == before


def test_two_archives_with_different_contents_of_a_file_are_refused(files, out, tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    pack(files / "bdfire", folder / "a.zip")
    (files / "bdfire" / "001_gt.png").write_bytes(b"other")
    pack(files / "bdfire", folder / "b.zip")
    message = refused("fires", out, source=str(folder))
    assert message.startswith(f"{folder / 'b.zip'}: 'bdfire/001_gt.png' exists already") and ".tmp" not in message
    assert nothing_left(out)


@pytest.mark.parametrize("source", ["data/raw", "data/raw/fires.zip"])
def test_archives_in_the_output_are_not_replaced(archive, out, tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out.mkdir(parents=True)
    shutil.copy(archive, out)
    message = refused("fires", out, source=source)
    assert message.startswith(f"params.yaml: download.fires.source: {source} is in {out}")
    assert os.listdir(out) == ["fires.zip"]


def test_a_failed_verification_names_the_archive(files, out, tmp_path):
    (files / "bdfire" / "001_gt.png").unlink()
    archive = tmp_path / "fires.zip"
    pack(files / "bdfire", archive)
    message = refused("fires", out, source=str(archive))
    assert message.startswith(f"{archive}/bdfire/001_gt.png: not found") and ".tmp" not in message
    assert nothing_left(out)


def test_an_archive_that_leads_out_of_the_project(out, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../../001_rgb.png", b"1")
    message = refused("fires", out, source=str(tmp_path / "evil.zip"))
    assert "may lead elsewhere" in message and nothing_left(out) and not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("data", [b"", b"<html>", b"PK\x03\x04 and no more"])
@pytest.mark.parametrize("within", [False, True])
def test_a_damaged_archive(files, out, data, within):
    archive = files / "a.zip"
    archive.write_bytes(data)
    message = refused("fires", out, source=str(files if within else archive))
    assert message.startswith(f"{archive}: truncated or damaged") and nothing_left(out)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.zip", "Sample", "a file", "a.rar"])
def test_a_missing_source_names_the_key(tmp_path, out, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a file", "a.rar"):
        (tmp_path / name).write_text("")
    message = refused("fires", out, source=source)
    what = "no archive" if source in ("a file", "a.rar") else "nothing at"
    assert message.startswith(f"params.yaml: download.fires.source: {what} '{source}'; ")
    assert "`sample`" in message and ".tar.gz" in message
    assert nothing_left(out)


def test_official_fires_says_what_to_do_by_hand(out):
    message = refused("fires", out, data="official")
    assert all(part in message for part in ("cfdb.univ-corse.fr", "sign", "params.yaml"))
    assert nothing_left(out)


def test_official_covid_without_kaggle_says_what_to_do(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    message = refused("covid", out, source="official")
    assert all(
        part in message for part in ("pip install kagglehub", "anasmohammedtahir/covidqu", "download.covid.source")
    )
    assert nothing_left(out)


def test_an_official_download_is_verified(files, out, monkeypatch):
    dataset = datasets.load("fires")
    monkeypatch.setattr(dataset, "download", lambda folder: shutil.copytree(files, folder, dirs_exist_ok=True))
    obtain("fires", out, data="official")
    assert contents(out) == contents(files)


@pytest.mark.parametrize("source", ["archives", "./archives", "archives/"])
def test_a_failed_verification_names_the_folder_of_archives_as_it_was_given(files, out, source, monkeypatch):
    (files / "bdfire" / "001_gt.png").unlink()
    monkeypatch.chdir(files.parent)
    (files.parent / "archives").mkdir()
    pack(files / "bdfire", files.parent / "archives" / "fires.zip")
    message = refused("fires", out, source=source)
    assert message.startswith("archives/bdfire/001_gt.png: not found") and nothing_left(out)


@pytest.mark.parametrize("source, data", [("official", "sample"), (None, "official")])
def test_a_failed_verification_of_a_download_names_the_output(out, source, data, monkeypatch):
    monkeypatch.setattr(datasets.load("fires"), "download", lambda folder: (folder / "001_rgb.png").write_bytes(b"x"))
    message = refused("fires", out, source=source, data=data)
    assert message.startswith(f"{out / '001_gt.png'}: not found") and nothing_left(out)


def test_a_failed_download_names_the_output(out, monkeypatch):
    def download(folder):
        raise UserError(f"{folder / 'stack.tif'}: another checksum; try again")

    monkeypatch.setattr(datasets.load("fires"), "download", download)
    assert refused("fires", out, data="official").startswith(f"{out / 'stack.tif'}: ") and nothing_left(out)


def failing_archive(files, sample):
    (files / "bdfire" / "001_gt.png").unlink()
    pack(files / "bdfire", files / "fires.zip")
    return {"source": str(files)}


def failing_sample(files, sample):
    def write(folder, seed):
        (folder / "half.png").write_bytes(image_io.encode_png(np.zeros((4, 4), np.uint8)))
        raise OSError(28, "No space left on device")

    sample(write)
    return {"source": "sample"}


def failing_download(files, sample):
    return {"source": "official"}


def missing_source(files, sample):
    return {"source": "nowhere"}


@pytest.mark.parametrize("failing", [failing_archive, failing_sample, failing_download, missing_source])
def test_a_failure_leaves_the_old_files_and_nothing_else(files, archive, out, failing, sample):
    obtain("fires", out, source=str(archive))
    before = contents(out.parent)
    with pytest.raises((UserError, OSError)):
        obtain("fires", out, **failing(files, sample))
    assert contents(out.parent) == before


def test_files_that_are_no_longer_in_the_source_are_removed(files, archive, out):
    obtain("fires", out, source=str(archive))
    for path in (files / "bdfire").glob("002_*"):
        path.unlink()
    pack(files / "bdfire", archive)
    obtain("fires", out, source=str(archive))
    assert contents(out) == contents(files)


def test_the_error_for_an_unknown_dataset_names_the_known_ones(out):
    message = refused("fires2", out)
    assert "unknown dataset 'fires2'" in message and all(name in message for name in datasets.names())
    assert nothing_left(out)
