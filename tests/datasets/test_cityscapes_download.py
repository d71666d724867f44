"""Tests of the Cityscapes download with a fake cityscapesscripts."""

import sys
import types
import zipfile
from pathlib import Path

import pytest
import requests
from promptseg.datasets.cityscapes import reader as cityscapes
from refusing import refused
from test_cityscapes import ORDER, build


class Tool(types.ModuleType):
    """Fake of cityscapesscripts.download.downloader: appends the bytes of local archives, as the original does.

    fail: exception to raise in the middle of a download; received: position of the byte at which it is raised.
    """

    def __init__(self, archives: Path):
        super().__init__("downloader")
        self.archives, self.requested, self.fail, self.received = archives, [], None, None

    def login(self):
        return "session"

    def download_packages(self, *, session, package_names, destination_path, resume=False):
        assert session == "session" and resume
        print("Downloading progress" * 3)
        (name,) = package_names
        self.requested.append(name)
        target, data = Path(destination_path) / name, (self.archives / name).read_bytes()
        with open(target, "ab") as file:
            file.write(data[file.tell() : self.received if self.fail else None])
        if self.fail:
            raise self.fail


@pytest.fixture
def tool(tmp_path, monkeypatch) -> Tool:
    source = build(tmp_path / "source")
    (tmp_path / "archives").mkdir()
    for name in cityscapes.PACKAGES:
        with zipfile.ZipFile(tmp_path / "archives" / name, "w") as archive:
            archive.writestr("README", name)  # a clash, if both were unpacked into one folder
            for path in sorted((source / name.split("_")[0]).rglob("*.*")):
                archive.write(path, path.relative_to(source))
    tool, package = Tool(tmp_path / "archives"), types.ModuleType("cityscapesscripts.download")
    package.downloader = tool
    monkeypatch.setitem(sys.modules, "cityscapesscripts", types.ModuleType("cityscapesscripts"))
    monkeypatch.setitem(sys.modules, "cityscapesscripts.download", package)
    monkeypatch.setenv("PROMPTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cityscapes, "SPLIT_SIZES", {"train": 4, "test": 1})
    return tool


def test_download(tool, tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    cityscapes.download(tmp_path / "raw")
    assert tool.requested == ["gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip"]
    assert [sample.id for sample in cityscapes.read(tmp_path / "raw")] == ORDER
    assert not list(tmp_path.glob("raw/**/*.zip")) and not list(tmp_path.glob("cache/**/*.zip"))
    assert capsys.readouterr().out == ""


def test_a_broken_download_is_resumed_and_a_corrupt_one_is_deleted(tool, tmp_path):
    tool.fail, tool.received = requests.ConnectionError("reset"), 100
    refused(lambda: cityscapes.download(tmp_path / "raw"), "csDownload: reset", "download.cityscapes.source")
    partial = tmp_path / "cache/cityscapes/gtFine_trainvaltest.zip"
    assert partial.stat().st_size == 100
    tool.fail = None
    cityscapes.download(tmp_path / "raw")
    assert [sample.id for sample in cityscapes.read(tmp_path / "raw")] == ORDER
    tool.fail = Exception("MD5 sum of downloaded file does not match.")
    refused(lambda: cityscapes.download(tmp_path / "again"), "MD5 sum", "gtFine_trainvaltest.zip (0.24 GB)")
    assert not partial.exists()


def test_download_checks_the_official_counts(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(cityscapes, "SPLIT_SIZES", {"train": 2975, "test": 500})
    refused(lambda: cityscapes.download(tmp_path / "raw"), "'train': 4", "2975")


def test_download_without_a_login(tool, tmp_path, monkeypatch):
    before = sys.stdin
    monkeypatch.setattr(tool, "login", lambda: input("Cityscapes username or email address: "))
    refused(lambda: cityscapes.download(tmp_path / "raw"), "no login", "csDownload -l", "cityscapes-dataset.com")
    assert sys.stdin is before
    monkeypatch.setattr(tool, "login", lambda: (_ for _ in ()).throw(Exception("Bad credentials.")))
    refused(lambda: cityscapes.download(tmp_path / "raw"), "Bad credentials.")


def test_download_without_cityscapesscripts(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cityscapesscripts", None)
    steps = ("pip install cityscapesscripts", "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "one folder")
    refused(lambda: cityscapes.download(tmp_path), *steps)
    assert not list(tmp_path.iterdir())


def test_missing_login(tool, tmp_path, monkeypatch):
    monkeypatch.setattr("appdirs.user_data_dir", lambda *names: str(tmp_path / "home" / names[0]))
    assert cityscapes.missing_login() == f"{cityscapes.REGISTER}, then {cityscapes.STORE}"
    (tmp_path / "home/cityscapesscripts").mkdir(parents=True)
    (tmp_path / "home/cityscapesscripts/credentials.json").write_text("{}")
    assert cityscapes.missing_login() == ""
    monkeypatch.setitem(sys.modules, "cityscapesscripts", None)
    monkeypatch.setitem(sys.modules, "cityscapesscripts.download", None)
    assert "`pip install cityscapesscripts`" in cityscapes.missing_login()
