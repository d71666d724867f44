"""Cityscapes: what download does with csDownload's answers; nothing is fetched."""

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
    """Stands in for cityscapesscripts.download.downloader: gives out the test's archives, and appends as it does."""

    def __init__(self, archives: Path):
        super().__init__("downloader")
        self.archives, self.asked, self.fail, self.done = archives, [], None, None

    def login(self):
        return "session"

    def download_packages(self, *, session, package_names, destination_path, resume=False):
        assert session == "session" and resume
        print("Downloading progress" * 3)
        (name,) = package_names
        self.asked.append(name)
        target, data = Path(destination_path) / name, (self.archives / name).read_bytes()
        with open(target, "ab") as file:
            file.write(data[file.tell() : self.done if self.fail else None])
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
    assert tool.asked == ["gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip"]
    assert [picture.id for picture in cityscapes.read(tmp_path / "raw")] == ORDER
    assert not list(tmp_path.glob("raw/**/*.zip")) and not list(tmp_path.glob("cache/**/*.zip"))
    assert capsys.readouterr().out == ""


def test_a_broken_download_goes_on_and_a_wrong_one_does_not(tool, tmp_path):
    tool.fail, tool.done = requests.ConnectionError("reset"), 100
    refused(lambda: cityscapes.download(tmp_path / "raw"), "csDownload: reset", "datasets.cityscapes.source")
    kept = tmp_path / "cache/cityscapes/gtFine_trainvaltest.zip"
    assert kept.stat().st_size == 100
    tool.fail = None
    cityscapes.download(tmp_path / "raw")
    assert [picture.id for picture in cityscapes.read(tmp_path / "raw")] == ORDER
    tool.fail = Exception("MD5 sum of downloaded file does not match.")
    refused(lambda: cityscapes.download(tmp_path / "again"), "MD5 sum", "gtFine_trainvaltest.zip (0.24 GB)")
    assert not kept.exists()


def test_download_checks_the_numbers(tool, tmp_path, monkeypatch):
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
    words = ("pip install cityscapesscripts", "gtFine_trainvaltest.zip", "leftImg8bit_trainvaltest.zip", "one folder")
    refused(lambda: cityscapes.download(tmp_path), *words)
    assert not list(tmp_path.iterdir())


def test_what_is_missing_of_a_login_is_said(tool, tmp_path, monkeypatch):
    monkeypatch.setattr("appdirs.user_data_dir", lambda *names: str(tmp_path / "home" / names[0]))
    assert cityscapes.missing_login() == f"{cityscapes.REGISTER}, then {cityscapes.STORE}"
    (tmp_path / "home/cityscapesscripts").mkdir(parents=True)
    (tmp_path / "home/cityscapesscripts/credentials.json").write_text("{}")
    assert cityscapes.missing_login() == ""
    monkeypatch.setitem(sys.modules, "cityscapesscripts", None)
    monkeypatch.setitem(sys.modules, "cityscapesscripts.download", None)
    assert "`pip install cityscapesscripts`" in cityscapes.missing_login()
