"""Tests of the Cityscapes download with a fake cityscapesscripts."""

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from promptseg.datasets.cityscapes import reader as cityscapes
from refusing import refused
from test_cityscapes import ORDER, build, ids


@pytest.fixture
def tool(tmp_path, monkeypatch) -> SimpleNamespace:
    """Fake of cityscapesscripts.download.downloader: appends the bytes of local archives, as the original does.

    fail: exception to raise in the middle of a download; received: position of the byte at which it is raised.
    """
    source = build(tmp_path / "source")
    for name in cityscapes.PACKAGES:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("README", name)  # a clash, if both were unpacked into one folder
            for path in sorted((source / name.split("_")[0]).rglob("*.*")):
                archive.write(path, path.relative_to(source))

    def download_packages(*, session, package_names, destination_path, resume=False):
        assert session == "session" and resume
        print("Downloading progress" * 3)
        (name,) = package_names
        tool.requested.append(name)
        with open(Path(destination_path) / name, "ab") as file:
            file.write((tmp_path / name).read_bytes()[file.tell() : tool.received if tool.fail else None])
        if tool.fail:
            raise tool.fail

    tool = SimpleNamespace(login=lambda: "session", download_packages=download_packages)
    tool.requested, tool.fail, tool.received = [], None, None
    monkeypatch.setitem(sys.modules, "cityscapesscripts", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cityscapesscripts.download", SimpleNamespace(downloader=tool))
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cityscapes, "SPLIT_SIZES", {"train": 4, "test": 1})
    return tool


def test_a_broken_download_is_resumed_and_a_corrupt_one_is_deleted(tool, tmp_path, capsys):
    raw, partial = tmp_path / "raw", tmp_path / "cache/cityscapes/gtFine_trainvaltest.zip"
    tool.fail, tool.received = requests.ConnectionError("reset"), 100
    refused(lambda: cityscapes.download(raw), "csDownload: reset", "download.cityscapes.source")
    assert partial.stat().st_size == 100
    tool.fail = None
    cityscapes.download(raw)
    assert tool.requested[1:] == ["gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip"]
    assert ids(raw) == ORDER
    assert not list(tmp_path.glob("raw/**/*.zip")) and not list(tmp_path.glob("cache/**/*.zip"))
    assert capsys.readouterr().out == ""
    tool.fail = Exception("MD5 sum of downloaded file does not match.")
    refused(lambda: cityscapes.download(tmp_path / "again"), "MD5 sum", "gtFine_trainvaltest.zip (0.24 GB)")
    assert not partial.exists()


def test_download_checks_the_official_counts_and_the_login(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(cityscapes, "SPLIT_SIZES", {"train": 2975, "test": 500})
    refused(lambda: cityscapes.download(tmp_path / "raw"), "'train': 4", "2975")
    before = sys.stdin
    monkeypatch.setattr(tool, "login", lambda: input("Cityscapes username or email address: "))
    refused(lambda: cityscapes.download(tmp_path / "raw"), "no login", "csDownload -l", "cityscapes-dataset.com")
    assert sys.stdin is before
    monkeypatch.setattr(tool, "login", lambda: (_ for _ in ()).throw(Exception("Bad credentials.")))
    refused(lambda: cityscapes.download(tmp_path / "raw"), "Bad credentials.")


def test_what_is_missing_for_a_download_is_said(tool, tmp_path, monkeypatch):
    monkeypatch.setattr("appdirs.user_data_dir", lambda *names: str(tmp_path / "home" / names[0]))
    assert cityscapes.missing_login() == f"{cityscapes.REGISTER}, then {cityscapes.STORE}"
    (tmp_path / "home/cityscapesscripts").mkdir(parents=True)
    (tmp_path / "home/cityscapesscripts/credentials.json").write_text("{}")
    assert cityscapes.missing_login() == ""
    monkeypatch.setitem(sys.modules, "cityscapesscripts", None)
    monkeypatch.setitem(sys.modules, "cityscapesscripts.download", None)
    assert "`pip install cityscapesscripts`" in cityscapes.missing_login()
    steps = ("pip install cityscapesscripts", "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "one folder")
    refused(lambda: cityscapes.download(tmp_path / "raw"), *steps)
    assert not (tmp_path / "raw").exists()
