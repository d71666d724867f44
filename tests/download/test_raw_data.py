"""Raw data: samples, downloads and archives arrive whole or not at all, and the user's files are not changed."""

import functools
import os
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from promptseg import datasets
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.download import raw_data

OUT = Path("data/raw")  # alone in its folder, so that leftovers are noticed


def obtain(source=None, data="sample", reader="fires", seed=0):
    settings = types.SimpleNamespace(reader=reader, source=source)
    raw_data.obtain("fires", settings, params.Scale(data=data), seed, OUT.absolute())


def contents(folder) -> dict[str, bytes | None]:
    """Contents of a folder, hidden files too: the bytes of a file, None for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def pack(archive, *left_out, **changed):
    """Pack the user's files below `bdfire`, without some, or with other bytes."""
    base = archive.parent / "packed"
    shutil.copytree("files", base)
    for name in left_out:
        (base / "bdfire" / name).unlink()
    for name, data in changed.items():
        (base / "bdfire" / f"{name}.png").write_bytes(data)
    kind = {".zip": "zip", ".tar": "tar"}.get(archive.suffix, "gztar")
    shutil.move(shutil.make_archive(str(archive.with_name("made")), kind, base, "bdfire"), archive)
    shutil.rmtree(base)
    return archive


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The working and home folder of a user of the fires dataset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "files" / "bdfire"
    folder.mkdir(parents=True)
    for name in ("001_rgb", "001_gt", "002_rgb", "002_gt", "seq05_rgb_001", "seq05_gt_001", "seq05_nir_001"):
        (folder / f"{name}.png").write_bytes(image_io.encode_png(np.full((4, 6), len(name), np.uint8)))
    (folder / "data.csv").write_text('"name"\n')
    return tmp_path


@pytest.mark.parametrize("source, data", [(None, "sample"), ("sample", "official")])
def test_the_sample_of_the_reader_is_written_with_the_seed_and_verified(source, data, monkeypatch):
    calls = []
    fake = types.SimpleNamespace(write=lambda folder, seed: calls.append((os.listdir(folder), seed)))
    monkeypatch.setattr(datasets, "load_sample", lambda name: calls.append(name) or fake)
    monkeypatch.setattr(datasets, "verify", lambda module, folder: calls.append("verify"))
    obtain(source, data, reader="covid", seed=7)
    assert calls == ["covid", ([], 7), "verify"] and OUT.is_dir()


@pytest.mark.parametrize("data", ["sample", "official"])
@pytest.mark.parametrize(
    "name, source",
    [
        ("fires.zip", "~/fires.zip"), ("fires.tar", "./fires.tar"), ("fires.tar.gz", "fires.tar.gz"),
        ("Fires.TGZ", "Fires.TGZ"), ("archives/fires.zip", "archives"), ("archives/fires.zip", "link"),
    ],
)  # fmt: skip
def test_archives_are_unpacked_and_not_changed_whatever_the_scale(home, name, source, data):
    (home / "archives").mkdir()
    (home / "link").symlink_to("archives", target_is_directory=True)
    (home / "archives" / "notes.txt").write_text("not copied")
    pack(home / "archives" / "all.tar.gz", "001_rgb.png", "seq05_gt_001.png")  # files that are in both are compared
    before, archive = contents(home / "archives"), pack(home / name).read_bytes()
    obtain(source, data)
    assert contents(OUT) == contents(home / "files") and (home / name).read_bytes() == archive
    assert contents(home / "archives").items() >= before.items()
    (OUT / "old.png").write_bytes(b"no longer in the source")
    obtain(source, data)
    assert contents(OUT) == contents(home / "files")


NOTHING, DAMAGED = "params.yaml: download.fires.source: nothing at", "truncated or damaged"
REFUSED = [
    ("files", "params.yaml: download.fires.source: files is a folder; set datasets.fires.raw to it, and remove "),
    ("twice", "twice/b.zip: 'bdfire/001_gt.png' exists already"),
    ("data/raw", "params.yaml: download.fires.source: data/raw is in "),
    ("data/raw/fires.zip", "params.yaml: download.fires.source: data/raw/fires.zip is in "),
    ("incomplete.zip", "incomplete.zip/bdfire/001_gt.png: not found"),
    *[(source, "incomplete/bdfire/001_gt.png: not found") for source in ("incomplete", "./incomplete", "incomplete/")],
    ("evil.zip", "evil.zip: '../../001_rgb.png' is unprintable or may lead elsewhere"),
    *[(f"{number}.zip", f"{number}.zip: {DAMAGED}") for number in range(3)],
    ("damaged", f"damaged/a.zip: {DAMAGED}"),
    *[(source, f"{NOTHING} '{source}'; ") for source in ("nowhere", "nowhere.zip", "Sample")],
    *[(source, f"params.yaml: download.fires.source: no archive '{source}'; ") for source in ("a file", "a.rar")],
]


@pytest.mark.parametrize("source, start", REFUSED, ids=[source for source, _ in REFUSED])
def test_a_refused_source_is_named_and_leaves_everything_as_it_was(home, source, start):
    for folder in ("twice", "incomplete", "damaged"):
        (home / folder).mkdir()
    pack(home / "twice" / "a.zip")
    pack(home / "twice" / "b.zip", **{"001_gt": b"other"})
    shutil.copy(pack(home / "incomplete.zip", "001_gt.png"), home / "incomplete" / "fires.zip")
    pack(home / "files" / ".hidden.zip")
    for name, data in {
        "files/bdfire/not_at_the_top.zip": b"", "0.zip": b"", "1.zip": b"<html>", "2.zip": b"PK\x03\x04 and no more",
        "damaged/a.zip": b"", "a file": b"", "a.rar": b"",
    }.items():  # fmt: skip
        (home / name).write_bytes(data)
    with zipfile.ZipFile(home / "evil.zip", "w") as file:
        file.writestr("../../001_rgb.png", b"1")
    obtain(str(pack(home / "good.zip", "002_rgb.png", "002_gt.png")))
    shutil.copy(home / "good.zip", OUT / "fires.zip")
    for first in (True, False):
        before = contents(home)
        with pytest.raises(UserError) as caught:
            obtain(source)
        message = str(caught.value)
        assert message.startswith(start) and "\n" not in message and ".tmp" not in message
        assert contents(home) == before
        if start.endswith("; "):
            assert "`sample`" in message and ".tar.gz" in message
        if source.startswith("data"):
            break
        if first:
            shutil.rmtree(OUT)


def half_written(folder, *_):
    (folder / "half.png").write_bytes(b"")
    raise OSError(28, "No space left on device")


def not_verified(folder):
    (folder / "001_rgb.png").write_bytes(b"x")


def not_downloaded(folder):
    raise UserError(f"{folder / 'stack.tif'}: another checksum; try again")


@pytest.mark.parametrize(
    "source, data, reader, download, words",
    [
        ("official", "sample", "fires", not_verified, ["/data/raw/001_gt.png: not found"]),
        (None, "official", "fires", not_verified, ["/data/raw/001_gt.png: not found"]),
        (None, "official", "fires", not_downloaded, ["/data/raw/stack.tif: another checksum"]),
        (None, "official", "fires", None, ["cfdb.univ-corse.fr", "sign", "params.yaml"]),
        ("official", "sample", "covid", None, ["pip install kagglehub", "tahir/covidqu", "download.covid.source"]),
        ("sample", "sample", "fires", None, ["No space left"]),
        (None, "sample", "fires2", None, ["unknown dataset 'fires2'", *datasets.names()]),
    ],
)
def test_a_failed_download_or_sample_leaves_the_old_files(home, source, data, reader, download, words, monkeypatch):
    if download:
        monkeypatch.setattr(datasets.load(reader), "download", download)
    monkeypatch.setattr(datasets, "load_sample", lambda name: types.SimpleNamespace(write=half_written))
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    obtain(str(pack(home / "good.zip")))
    before = contents(home)
    with pytest.raises((UserError, OSError)) as caught:
        obtain(source, data, reader)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
    assert contents(home) == before


def test_an_official_download_is_kept(home, monkeypatch):
    copy = functools.partial(shutil.copytree, home / "files", dirs_exist_ok=True)
    monkeypatch.setattr(datasets.load("fires"), "download", copy)
    obtain(data="official")
    assert contents(OUT) == contents(home / "files")
