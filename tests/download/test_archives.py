"""Unpacking: everything or one line, nothing outside the folder, no links, no decompression bombs."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.download import archives
from promptseg.download.archives import is_archive, unpack

KINDS = pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz"])
NOISE = np.random.default_rng(0).bytes(300_000)
FILES = {"a/x.png": NOISE, "a/b/y (1).png": b"", "top.txt": b"hello", "a/\u00fc.txt": b"\x00" * 5000}


def pack(path: Path, files=FILES, **special) -> Path:
    """Write an archive of these files, in their order; special: for a .tar, changes to every TarInfo."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in files.items():
                info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(info, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as file:
        for name, data in files.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in special.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def refused(archive: Path, folder: Path) -> str:
    before = set(archive.parent.rglob("*"))
    with pytest.raises(UserError) as caught:
        unpack(archive, folder)
    message = str(caught.value)
    assert "\n" not in message and str(archive) in message
    for path in set(archive.parent.rglob("*")) - before:
        assert not path.is_symlink() and (path.is_relative_to(folder) or folder.is_relative_to(path))
    return message


@pytest.fixture
def out(tmp_path):
    return tmp_path / "in" / "out"


@KINDS
def test_everything_is_unpacked(tmp_path, out, kind, capfd):
    archive = pack(tmp_path / f"official.{kind}")
    assert is_archive(archive)
    before = archive.read_bytes()
    unpack(archive, out)
    assert contents(out) == FILES and archive.read_bytes() == before
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


@KINDS
def test_permissions_are_the_default_ones(tmp_path, out, kind):
    info = zipfile.ZipInfo("x") if kind == "zip" else tarfile.TarInfo("x")
    if kind == "zip":
        info.external_attr = (stat.S_IFREG | 0o4000) << 16
    archive = pack(tmp_path / f"a.{kind}", {info: b"1"}, **({} if kind == "zip" else {"mode": 0o4777, "uid": 12}))
    unpack(archive, out)
    (tmp_path / "mine").write_bytes(b"")
    assert (out / "x").stat().st_mode == (tmp_path / "mine").stat().st_mode


@KINDS
def test_empty_folders_and_a_leading_dot(tmp_path, out, kind):
    folder = zipfile.ZipInfo("./a/empty/") if kind == "zip" else tarfile.TarInfo("./a/empty")
    if kind != "zip":
        folder.type = tarfile.DIRTYPE
    unpack(pack(tmp_path / f"a.{kind}", {folder: b"", "./a/x": b"1"}), out)
    assert (out / "a" / "empty").is_dir() and contents(out) == {"a/x": b"1"}


@KINDS
def test_files_added_by_macos_are_skipped(tmp_path, out, kind):
    extra = {"__MACOSX/a/._x.png": b"1", "a/._x.png": b"1", "a/x.png": b"2"}
    unpack(pack(tmp_path / f"a.{kind}", extra), out)
    assert contents(out) == {"a/x.png": b"2"} and not (out / "__MACOSX").exists()


@KINDS
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "a/..", "/etc/x", "//x", "C:x", "c:/x", "..\\x", "a\\x", "a\nb", "a\x7f", "a\u202eb"]
)
def test_unsafe_names_are_refused(tmp_path, out, kind, name):
    message = refused(pack(tmp_path / f"a.{kind}", {"good": b"1", name: b"2"}), out)
    assert repr(name) in message and not out.exists(), "checked before anything is written"


def test_a_name_with_a_zero_byte(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {"goodXname": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"goodXname", b"good\x00name"))
    assert "unprintable" in refused(archive, out)


def test_a_name_that_is_not_utf8(tmp_path, out):
    archive = pack(tmp_path / "a.tar", {os.fsdecode(b"covid_\xff.png"): b"1"})
    assert "unprintable" in refused(archive, out)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x", "..\\x", "C:x"])
def test_a_link_to_outside_is_refused(tmp_path, out, kind, target):
    message = refused(pack(tmp_path / f"a.{kind}", dict([link(kind, "a/l", target)])), out)
    assert "'a/l'" in message and "unpack it by hand if you trust it" in message and not out.exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_link_to_within_is_skipped(tmp_path, out, kind, capfd):
    unpack(pack(tmp_path / f"a.{kind}", {"a/x": b"1", **dict([link(kind, "b/l", "../a/x")])}), out)
    note = capfd.readouterr().err
    assert contents(out) == {"a/x": b"1"} and "note: a." in note and "1 links were skipped" in note


def link(kind, name, target):
    """A soft link, as a member of a .zip or .tar and its data."""
    if kind == "zip":
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        return info, target.encode()
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


def test_hard_links(tmp_path, out):
    info = tarfile.TarInfo("deep/down/h")
    info.type, info.linkname = tarfile.LNKTYPE, "a/x"
    unpack(pack(tmp_path / "a.tar", {"a/x": b"1", info: b""}), out)
    assert contents(out) == {"a/x": b"1"}
    info.linkname = "../x"  # relative to the top, not to its own folder
    assert "'deep/down/h' would link to" in refused(pack(tmp_path / "b.tar", {info: b""}), out.with_name("b"))


def test_writing_through_a_link_is_not_possible(tmp_path, out):
    archive = pack(tmp_path / "a.tar", {**dict([link("tar", "d", ".")]), "d/x": b"1"})
    unpack(archive, out)
    assert contents(out) == {"d/x": b"1"} and not (out / "d").is_symlink()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_devices_and_pipes(tmp_path, out, kind):
    assert "'x' is a special file" in refused(pack(tmp_path / "a.tar", {"x": b""}, type=kind), out)


def test_a_sparse_file(tmp_path, out):
    assert "'x' is a sparse" in refused(pack(tmp_path / "a.tar", {"x": b""}, type=tarfile.GNUTYPE_SPARSE), out)


def test_a_size_below_zero(tmp_path, out):
    archive = pack(tmp_path / "a.tar", {"x": b""}, pax_headers={"size": "-1024"})
    assert "damaged file" in refused(archive, out) and not out.exists()


def test_a_device_in_a_zip(tmp_path, out):
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFCHR | 0o666) << 16
    assert "'x' is a special file" in refused(pack(tmp_path / "a.zip", {info: b""}), out)


@KINDS
@pytest.mark.parametrize("twins", [("a/X.png", "a/x.png"), ("\u00fc.png", "u\u0308.png")])
def test_twins(tmp_path, out, kind, twins):
    message = refused(pack(tmp_path / f"a.{kind}", dict.fromkeys(twins, b"1")), out)
    assert repr(twins[0]) in message and repr(twins[1]) in message and not out.exists()


@KINDS
def test_a_file_and_a_folder_of_one_name(tmp_path, out, kind):
    assert "not unpacked" in refused(pack(tmp_path / f"a.{kind}", {"a": b"1", "a/x": b"2"}), out)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_same_name_twice(tmp_path, out, kind):
    make = zipfile.ZipInfo if kind == "zip" else tarfile.TarInfo
    assert "would be one file" in refused(pack(tmp_path / f"a.{kind}", {make("x"): b"1", make("x"): b"2"}), out)


def test_existing_files(tmp_path, out):
    unpack(pack(tmp_path / "a.zip", {"README": b"same", "x": b"1"}), out)
    unpack(pack(tmp_path / "a.tgz", {"README": b"same", "y": b"2"}), out)
    assert contents(out) == {"README": b"same", "x": b"1", "y": b"2"}
    for other in (b"1 and more", b"", b"2"):
        archive = pack(tmp_path / "b.zip", {"x": other})
        with pytest.raises(UserError, match="'x' exists already, with other contents"):
            unpack(archive, out)
    assert (out / "x").read_bytes() == b"1"


def test_an_encrypted_zip(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {"x": b"1"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert "'x' is encrypted" in refused(archive, out)


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_a_bomb_is_not_unpacked(tmp_path, out, kind, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 1 << 19)
    archive = pack(tmp_path / f"a.{kind}", {"good": b"1", "x": bytes(4 << 20)})
    assert "grow more than 300 times" in refused(archive, out) and not out.exists()


def test_a_tar_that_declares_more_than_it_can_contain(tmp_path, out):
    info = tarfile.TarInfo("x")
    info.size = 1 << 50
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(1024))
    assert "grow more than 300 times" in refused(tmp_path / "a.tar", out) and not out.exists()


def test_small_masks_may_shrink_a_lot(tmp_path, out):
    unpack(pack(tmp_path / "a.zip", {"mask.tif": bytes(1 << 20)}), out)
    assert (out / "mask.tif").stat().st_size == 1 << 20


def test_members_that_share_their_bytes(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {f"n{i}": NOISE for i in range(3)})
    data = bytearray(archive.read_bytes())
    at = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    for i in at:  # all of them the first one's
        data[i + 42 : i + 46] = bytes(4)
    archive.write_bytes(data[: len(NOISE)] + data[at[0] :])
    assert "truncated or damaged" in refused(archive, out)


@KINDS
def test_too_many_members(tmp_path, out, kind, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    assert "more than 3 members" in refused(pack(tmp_path / f"a.{kind}"), out)


@KINDS
def test_too_little_space(tmp_path, out, kind, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(0, 0, 305_004))
    message = refused(pack(tmp_path / f"a.{kind}"), out)
    assert "unpacked it takes 305,005 bytes" in message and "305,004 free" in message and contents(out) == {}


@KINDS
def test_a_disk_that_fills_up(tmp_path, out, kind, monkeypatch):
    archive = pack(tmp_path / f"a.{kind}")

    def full(source, out, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert "No space left on device; it was not unpacked" in refused(archive, out)


@KINDS
@pytest.mark.parametrize("share", [0.0, 0.3, 0.97, 0.999])
def test_truncated(tmp_path, out, kind, share):
    archive = pack(tmp_path / f"a.{kind}")
    data = archive.read_bytes()
    if kind == "tar":
        data = data[:-9000]  # the zeros that fill it up are not missed
    archive.write_bytes(data[: int(len(data) * share)])
    assert "truncated or damaged" in refused(archive, out)


def test_a_tar_that_ends_between_two_members(tmp_path, out):
    archive = pack(tmp_path / "a.tar", {"x": bytes(512), "y": b"1"})
    archive.write_bytes(archive.read_bytes()[:1024])
    assert "ends before its end mark" in refused(archive, out)


@KINDS
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_flipped_byte(tmp_path, out, kind, share):
    archive = pack(tmp_path / f"a.{kind}", {"x": NOISE})
    data = bytearray(archive.read_bytes())
    data[int(len(data) * share)] ^= 0x10
    archive.write_bytes(data)
    if kind == "tar":  # it has checksums for its headers alone
        unpack(archive, out)
    else:
        assert "truncated or damaged" in refused(archive, out)


def test_a_damaged_header_in_the_middle_of_a_tar(tmp_path, out):
    archive = pack(tmp_path / "a.tar", {"x": b"1", "y": b"2"})
    data = bytearray(archive.read_bytes())
    data[1024 + 100] ^= 0x7
    archive.write_bytes(data)
    assert "truncated or damaged" in refused(archive, out)


def test_a_header_that_claims_a_long_name(tmp_path, out):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, archives.MAX_HEADER * 2
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as file:
        file.write(info.tobuf() + bytes(1024))
    assert "truncated or damaged" in refused(tmp_path / "a.tgz", out)


def test_more_after_the_end_of_a_tar(tmp_path, out, monkeypatch):
    monkeypatch.setattr(archives, "MAX_HEADER", 20_000)
    archive = pack(tmp_path / "a.tar", {"x": b"1"})
    with open(archive, "ab") as file:
        file.write(bytes(50_000))
    assert "continues after its end mark" in refused(archive, out)


def test_a_zip_with_other_sizes_than_it_declares(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {"x": bytes(5000)})
    data, real = archive.read_bytes(), (5000).to_bytes(4, "little")
    archive.write_bytes(data.replace(real, (6000).to_bytes(4, "little")))
    assert "'x' holds less than the 6,000 bytes that it declares" in refused(archive, out)
    archive.write_bytes(data.replace(real, (4000).to_bytes(4, "little")))
    assert "truncated or damaged" in refused(archive, out.with_name("more"))
    assert (out.with_name("more") / "x").stat().st_size <= 4000, "not one byte more than declared is written"


@KINDS
@pytest.mark.parametrize("data", [b"", b"<html>Log in</html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_anything_but_an_archive_is_refused(tmp_path, out, kind, data):
    (tmp_path / f"a.{kind}").write_bytes(data)
    assert "truncated or damaged" in refused(tmp_path / f"a.{kind}", out)


def test_missing_and_of_another_kind(tmp_path, out):
    assert refused(tmp_path / "gone.zip", out).endswith("gone.zip: not found")
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    assert ".tar.gz" in refused(tmp_path / "a.rar", out) and not is_archive(tmp_path / "a.rar")
    (tmp_path / "folder.zip").mkdir()
    assert not is_archive(tmp_path / "folder.zip")
