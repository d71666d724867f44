"""A dataset's files come whole or not at all, and the user's own stay as they are."""

import os
import shutil
import stat
import sys
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
    raw_data.obtain(name, params.Dataset(reader=name, source=source), params.Scale(data=data), seed, folder)


def refused(*arguments, **settings) -> str:
    with pytest.raises(UserError) as caught:
        obtain(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(folder) -> dict[str, bytes | None]:
    """What a folder holds, hidden things too: a file's bytes, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@pytest.fixture
def mine(tmp_path):
    """A folder as a user of the fires dataset has it."""
    folder = tmp_path / "mine" / "bdfire"
    folder.mkdir(parents=True)
    for name in ("001_rgb", "001_gt", "002_rgb", "002_gt", "seq05_rgb_001", "seq05_gt_001", "seq05_nir_001"):
        (folder / f"{name}.png").write_bytes(image_io.png(np.full((4, 6), len(name), np.uint8)))
    (folder / "data.csv").write_text('"name"\n')
    return folder.parent


@pytest.fixture
def out(tmp_path):
    """The folder that is to be filled, alone in another so that whatever is left behind shows."""
    return tmp_path / "data" / "raw"


def nothing_left(out) -> bool:
    return not out.parent.exists() or os.listdir(out.parent) == []


@NAMES
@pytest.mark.parametrize("source, data", [(None, "sample"), ("sample", "official")])
def test_the_sample_of_every_dataset_is_drawn_by_the_seed(out, name, source, data, monkeypatch):
    dataset, drawn = datasets.load(name), []
    monkeypatch.setattr(dataset, "sample", lambda folder, seed: drawn.append(("sample", os.listdir(folder), seed)))
    monkeypatch.setattr(dataset, "verify", lambda folder, *options: drawn.append("verify"))
    obtain(name, out, source=source, data=data, seed=7)
    assert drawn == [("sample", [], 7), "verify"] and out.is_dir()


def test_the_dataset_s_own_source_goes_before_the_scale(mine, out):
    for data in ("sample", "official"):
        obtain("fires", out, source=str(mine), data=data)
        assert contents(out) == contents(mine)


def test_a_user_s_folder_is_copied_and_stays_as_it_is(mine, out):
    before = contents(mine)
    for path in mine.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    obtain("fires", out, source=str(mine))
    assert contents(out) == before == contents(mine)
    for path in out.rglob("*"):
        assert path.stat().st_mode & stat.S_IWUSR, "what cannot be written cannot be replaced either"
        if path.is_file():
            assert not path.is_symlink() and path.stat().st_nlink == 1
            path.write_bytes(b"changed")
    assert contents(mine) == before


def test_nothing_hidden_is_copied(mine, out):
    expected = contents(mine)
    (mine / ".git").mkdir()
    (mine / ".git" / "config").write_text("token")
    (mine / "bdfire" / ".DS_Store").write_text("x")
    obtain("fires", out, source=str(mine))
    assert contents(out) == expected


def test_a_link_to_a_folder_is_followed(mine, out, tmp_path):
    (tmp_path / "link").symlink_to(mine, target_is_directory=True)
    obtain("fires", out, source=str(tmp_path / "link"))
    assert contents(out) == contents(mine) and not out.is_symlink()


def test_a_link_inside_becomes_the_file_it_leads_to(mine, out, tmp_path):
    photo = next((mine / "bdfire").glob("001_rgb.png"))
    elsewhere = tmp_path / "elsewhere.png"
    shutil.move(photo, elsewhere)
    photo.symlink_to(elsewhere)
    obtain("fires", out, source=str(mine))
    copied = out / "bdfire" / "001_rgb.png"
    assert copied.read_bytes() == elsewhere.read_bytes() and not copied.is_symlink()


def test_a_link_to_nothing_is_named(mine, out):
    photo = mine / "bdfire" / "001_rgb.png"
    photo.unlink()
    photo.symlink_to(mine / "gone.png")
    assert str(photo) in refused("fires", out, source=str(mine)) and nothing_left(out)


@pytest.mark.parametrize("where", [".", "..", "bdfire", "other", "/"])
def test_links_that_lead_back_are_refused(mine, out, where):
    link = mine / "bdfire" / "again"
    link.symlink_to(mine / where)
    if where == "other":  # a ring of two
        (mine / "other").mkdir()
        (mine / "other" / "back").symlink_to(mine / "bdfire")
        link /= "back"
    message = refused("fires", out, source=str(mine))
    assert message == f"{link}: a link to a folder that it lies in; remove the link" and nothing_left(out)


def test_the_same_folder_may_be_linked_twice(mine, out, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    for name in ("first", "second"):
        (mine / name).symlink_to(tmp_path / "notes")
    obtain("fires", out, source=str(mine))
    assert contents(out / "first") == contents(out / "second") == {"a.txt": b"a"}


def test_a_file_that_may_not_be_read_is_named(mine, out, monkeypatch):
    photo = mine / "bdfire" / "001_rgb.png"

    original = shutil.copyfile

    def copyfile(source, target):
        if str(source) == str(photo):  # root may read everything
            raise PermissionError(13, "Permission denied", str(source))
        return original(source, target)

    monkeypatch.setattr(raw_data.shutil, "copyfile", copyfile)
    message = refused("fires", out, source=str(mine))
    assert message == f"{photo}: could not be copied: Permission denied" and nothing_left(out)


def test_a_pipe_is_named_and_not_waited_for(mine, out):
    os.mkfifo(mine / "pipe")
    message = refused("fires", out, source=str(mine))
    assert message.startswith(f"{mine / 'pipe'}: could not be copied") and nothing_left(out)


def test_a_folder_in_the_user_s_home_may_be_given_with_a_tilde(mine, out, monkeypatch):
    monkeypatch.setenv("HOME", str(mine.parent))
    obtain("fires", out, source="~/mine")
    assert contents(out) == contents(mine)


def pack(folder, archive):
    """All of `folder` in an archive, below its own name."""
    kind = "zip" if archive.suffix == ".zip" else "tar" if archive.suffix == ".tar" else "gztar"
    shutil.move(shutil.make_archive(str(archive.with_name("made")), kind, folder.parent, folder.name), archive)


@pytest.mark.parametrize("name", ["fires.zip", "fires.tar", "fires.tar.gz", "Fires.TGZ"])
def test_an_archive_is_unpacked_and_stays(mine, out, tmp_path, name):
    archive = tmp_path / name
    pack(mine / "bdfire", archive)
    before = archive.read_bytes()
    obtain("fires", out, source=str(archive))
    assert contents(out) == contents(mine) and archive.read_bytes() == before


def test_archives_at_a_folder_s_top_are_unpacked_beside_the_rest(mine, out):
    expected = contents(mine)
    for name in ("001_rgb", "seq05_gt_001"):
        extra = mine / name / "bdfire"
        extra.mkdir(parents=True)
        shutil.move(mine / "bdfire" / f"{name}.png", extra)
        pack(extra, mine / f"{name}.zip")
        shutil.rmtree(mine / name)
    before = contents(mine)
    obtain("fires", out, source=str(mine))
    assert contents(out) == expected and contents(mine) == before


def test_an_archive_that_is_unpacked_already_changes_nothing(mine, out):
    expected = contents(mine)
    pack(mine / "bdfire", mine / "fires.zip")
    obtain("fires", out, source=str(mine))
    assert contents(out) == expected


def test_an_archive_with_other_contents_than_what_lies_beside_it(mine, out):
    pack(mine / "bdfire", mine / "fires.zip")
    (mine / "bdfire" / "001_gt.png").write_bytes(b"mine")
    message = refused("fires", out, source=str(mine))
    assert message.startswith(f"{mine / 'fires.zip'}: 'bdfire/001_gt.png' is there already") and ".tmp" not in message
    assert nothing_left(out)


def test_an_archive_further_down_is_a_file_like_others(mine, out):
    (mine / "bdfire" / "more.zip").write_bytes(b"whatever")
    obtain("fires", out, source=str(mine))
    assert contents(out) == contents(mine)


def test_a_failed_check_names_the_archive(mine, out, tmp_path):
    (mine / "bdfire" / "001_gt.png").unlink()
    archive = tmp_path / "fires.zip"
    pack(mine / "bdfire", archive)
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
def test_a_damaged_archive(mine, out, data, within):
    archive = mine / "a.zip"
    archive.write_bytes(data)
    message = refused("fires", out, source=str(mine if within else archive))
    assert message.startswith(f"{archive}: truncated or damaged") and nothing_left(out)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.zip", "Sample", "a file", "a.rar"])
def test_a_source_that_is_not_there_names_the_key(tmp_path, out, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a file", "a.rar"):
        (tmp_path / name).write_text("")
    message = refused("fires", out, source=source)
    what = "archive" if source in ("a file", "a.rar") else "folder"
    assert message.startswith(f"params.yaml: datasets.fires.source: no {what} '{source}'")
    assert "`sample`" in message and ".tar.gz" in message
    assert nothing_left(out)


def test_official_fires_says_what_to_do_by_hand(out):
    message = refused("fires", out, data="official")
    assert all(part in message for part in ("cfdb.univ-corse.fr", "sign", "datasets.fires.source", "params.yaml"))
    assert nothing_left(out)


def test_official_covid_without_kaggle_says_what_to_do(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    message = refused("covid", out, source="official")
    assert all(
        part in message for part in ("pip install kagglehub", "anasmohammedtahir/covidqu", "datasets.covid.source")
    )
    assert nothing_left(out)


def test_official_is_fetched_checked_and_kept(mine, out, monkeypatch):
    dataset = datasets.load("fires")
    monkeypatch.setattr(dataset, "download", lambda folder: shutil.copytree(mine, folder, dirs_exist_ok=True))
    obtain("fires", out, data="official")
    assert contents(out) == contents(mine)


def test_a_failed_check_names_the_user_s_folder(mine, out):
    (mine / "bdfire" / "001_gt.png").unlink()
    message = refused("fires", out, source=str(mine))
    assert message.startswith(f"{mine / 'bdfire' / '001_gt.png'}: not found") and ".tmp" not in message
    assert nothing_left(out)


@pytest.mark.parametrize("source", ["mine", "./mine", "mine/"])
def test_a_failed_check_names_a_relative_folder_as_such(mine, out, source, monkeypatch):
    (mine / "bdfire" / "001_gt.png").unlink()
    monkeypatch.chdir(mine.parent)
    assert refused("fires", out, source=source).startswith("mine/bdfire/001_gt.png: not found") and nothing_left(out)


@pytest.mark.parametrize("source, data", [("official", "sample"), (None, "official")])
def test_a_failed_check_of_a_download_names_the_project_s_folder(out, source, data, monkeypatch):
    monkeypatch.setattr(datasets.load("fires"), "download", lambda folder: (folder / "001_rgb.png").write_bytes(b"x"))
    message = refused("fires", out, source=source, data=data)
    assert message.startswith(f"{out / '001_gt.png'}: not found") and nothing_left(out)


def test_a_download_that_fails_names_the_project_s_folder(out, monkeypatch):
    def download(folder):
        raise UserError(f"{folder / 'stack.tif'}: its sum is another; try again")

    monkeypatch.setattr(datasets.load("fires"), "download", download)
    assert refused("fires", out, data="official").startswith(f"{out / 'stack.tif'}: ") and nothing_left(out)


@NAMES
def test_an_empty_folder_is_refused_and_named(name, tmp_path, out):
    (tmp_path / "empty").mkdir()
    message = refused(name, out, source=str(tmp_path / "empty"))
    assert str(tmp_path / "empty") in message and ".tmp" not in message and nothing_left(out)


def failing_copy(mine, monkeypatch):
    (mine / "bdfire" / "001_gt.png").unlink()
    return {"source": str(mine)}


def failing_sample(mine, monkeypatch):
    def sample(folder, seed):
        (folder / "half.png").write_bytes(image_io.png(np.zeros((4, 4), np.uint8)))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.load("fires"), "sample", sample)
    return {"source": "sample"}


def failing_download(mine, monkeypatch):
    return {"source": "official"}


def failing_place(mine, monkeypatch):
    return {"source": "nowhere"}


@pytest.mark.parametrize("failing", [failing_copy, failing_sample, failing_download, failing_place])
def test_after_a_failure_the_old_files_are_there_and_nothing_else(mine, out, failing, monkeypatch):
    obtain("fires", out, source=str(mine))
    before = contents(out.parent)
    with pytest.raises((UserError, OSError)):
        obtain("fires", out, **failing(mine, monkeypatch))
    assert contents(out.parent) == before


def test_files_that_are_no_longer_there_go(mine, out):
    obtain("fires", out, source=str(mine))
    for path in (mine / "bdfire").glob("002_*"):
        path.unlink()
    obtain("fires", out, source=str(mine))
    assert contents(out) == contents(mine)


def test_a_source_that_is_the_output_itself_survives(mine, tmp_path):
    before = contents(mine)
    obtain("fires", mine, source=str(mine))
    assert contents(mine) == before


def test_an_unknown_dataset_answers_with_the_known_ones(out):
    message = refused("fires2", out)
    assert "unknown dataset 'fires2'" in message and all(name in message for name in datasets.names())
    assert nothing_left(out)
