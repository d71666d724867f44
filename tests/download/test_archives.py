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
ZIP_AND_TAR = pytest.mark.parametrize("kind", ["zip", "tar"])
NOISE = np.random.default_rng(0).bytes(30_000)
FILES = {"a/x.png": NOISE, "a/b/y (1).png": b"", "top.txt": b"hello", "a/\u00fc.txt": b"\x00" * 5000}
TYPES = {
    "folder": (stat.S_IFDIR, tarfile.DIRTYPE),
    "link": (stat.S_IFLNK, tarfile.SYMTYPE),
    "device": (stat.S_IFCHR, tarfile.CHRTYPE),
}


def pack(path: Path, files=FILES, **special) -> Path:
    """Write an archive of these files, in their order; special: for a .tar, changes to every TarInfo."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
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


def member(kind: str, name: str, type: str, target: str = "") -> dict:
    """A link, folder or device as a member of an archive, and its data."""
    if kind == "zip":
        info = zipfile.ZipInfo(name + "/" * (type == "folder"))
        info.external_attr = (TYPES[type][0] | 0o777) << 16
        return {info: target.encode()}
    info = tarfile.TarInfo(name)
    info.type, info.linkname = TYPES[type][1], target
    return {info: b""}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def refused(archive: Path, folder: Path, *words: str, early: bool = True) -> None:
    """One line with these words; nothing is written elsewhere, and nothing at all where it is refused early."""
    before = set(archive.parent.rglob("*"))
    with pytest.raises(UserError) as caught:
        unpack(archive, folder)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in (str(archive), *words)), message
    for path in set(archive.parent.rglob("*")) - before:
        assert not path.is_symlink() and (path.is_relative_to(folder) or folder.is_relative_to(path))
    assert not early or not folder.exists()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "in" / "out"


@KINDS
def test_everything_is_unpacked_but_what_macos_added(tmp_path, out, kind, capfd):
    added = {"__MACOSX/a/x.png": b"1", "a/._x.png": b"1", **member(kind, "./a/empty", "folder"), "./a/z": b"1"}
    archive = pack(tmp_path / f"official.{kind}", FILES | added)
    before = archive.read_bytes()
    assert is_archive(archive) and unpack(archive, out) is None
    assert contents(out) == FILES | {"a/z": b"1"} and archive.read_bytes() == before
    assert (out / "a" / "empty").is_dir() and not (out / "__MACOSX").exists()
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


@KINDS
def test_permissions_are_the_default_ones(tmp_path, out, kind):
    info = zipfile.ZipInfo("x") if kind == "zip" else tarfile.TarInfo("x")
    if kind == "zip":
        info.external_attr = (stat.S_IFREG | 0o4777) << 16
    unpack(pack(tmp_path / f"a.{kind}", {info: b"1"}, mode=0o4777, uid=12), out)
    (tmp_path / "mine").write_bytes(b"")
    assert (out / "x").stat().st_mode == (tmp_path / "mine").stat().st_mode


@KINDS
@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "a/..", "/etc/x", "//x", "C:x", "c:/x", "..\\x", "a\\x", "a\nb", "a\x7f", "a\u202eb"]
)
def test_unsafe_names_are_refused(tmp_path, out, kind, name):
    refused(pack(tmp_path / f"a.{kind}", {"good": b"1", name: b"2"}), out, repr(name))


@KINDS
@pytest.mark.parametrize("twins", [("a/X.png", "a/x.png"), ("\u00fc.png", "u\u0308.png")])
def test_names_that_some_disks_take_for_one_are_refused(tmp_path, out, kind, twins):
    refused(pack(tmp_path / f"a.{kind}", dict.fromkeys(twins, b"1")), out, *map(repr, twins))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@ZIP_AND_TAR
def test_one_name_twice_is_refused(tmp_path, out, kind):
    make = zipfile.ZipInfo if kind == "zip" else tarfile.TarInfo
    refused(pack(tmp_path / f"a.{kind}", {make("x"): b"1", make("x"): b"2"}), out, "would be one file")
    refused(pack(tmp_path / f"b.{kind}", {"a": b"1", "a/x": b"2"}), out, "not unpacked", early=False)


@ZIP_AND_TAR
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x", "..\\x", "C:x"])
def test_a_link_to_outside_is_refused(tmp_path, out, kind, target):
    archive = pack(tmp_path / f"a.{kind}", member(kind, "a/l", "link", target))
    refused(archive, out, "'a/l'", "unpack it by hand if you trust it")


@ZIP_AND_TAR
def test_a_link_to_within_is_skipped_and_not_written_through(tmp_path, out, kind, capfd):
    links = member(kind, "b/l", "link", "../a/x") | member(kind, "d", "link", ".")
    unpack(pack(tmp_path / f"a.{kind}", {"a/x": b"1", **links, "d/x": b"1"}), out)
    note = capfd.readouterr().err
    assert contents(out) == {"a/x": b"1", "d/x": b"1"} and not (out / "d").is_symlink()
    assert "note: a." in note and "2 links were skipped" in note


def test_hard_links_start_at_the_top_and_not_at_their_own_folder(tmp_path, out):
    info = tarfile.TarInfo("deep/down/h")
    info.type, info.linkname = tarfile.LNKTYPE, "a/x"
    unpack(pack(tmp_path / "a.tar", {"a/x": b"1", info: b""}), out)
    assert contents(out) == {"a/x": b"1"}
    info.linkname = "../x"
    refused(pack(tmp_path / "b.tar", {info: b""}), out.with_name("b"), "'deep/down/h' would link to")


@pytest.mark.parametrize(
    "name, special, words",
    [
        *[("x", {"type": kind}, "'x' is a special file") for kind in (tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z")],
        ("x", {"type": tarfile.GNUTYPE_SPARSE}, "'x' is a sparse"),
        ("x", {"pax_headers": {"size": "-1024"}}, "damaged file"),
        (os.fsdecode(b"covid_\xff.png"), {}, "unprintable"),
    ],
)
def test_other_members_are_refused(tmp_path, out, name, special, words):
    refused(pack(tmp_path / "a.tar", {name: b""}, **special), out, words)
    for kind in ("zip", "tar"):
        refused(pack(tmp_path / f"b.{kind}", member(kind, "x", "device")), out, "'x' is a special file")


def test_existing_files_are_kept_if_they_are_equal(tmp_path, out):
    unpack(pack(tmp_path / "a.zip", {"README": b"same", "x": b"1"}), out)
    unpack(pack(tmp_path / "a.tgz", {"README": b"same", "y": b"2"}), out)
    assert contents(out) == {"README": b"same", "x": b"1", "y": b"2"}
    for other in (b"1 and more", b"", b"2"):
        archive = pack(tmp_path / "b.zip", {"x": other})
        refused(archive, out, "'x' exists already, with other contents", early=False)
    assert (out / "x").read_bytes() == b"1"


@KINDS
def test_too_many_members_bytes_or_growth_is_refused_before(tmp_path, out, kind, monkeypatch):
    archive = pack(tmp_path / f"a.{kind}")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "total used free")(0, 0, 35_004))
        refused(archive, out, "unpacked it takes 35,005 bytes", "35,004 free", early=False)
    assert contents(out) == {}
    out.rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_MEMBERS", 3)
        refused(archive, out, "more than 3 members")
        patch.setattr(archives, "MAX_MEMBERS", 4)
        unpack(archive, out)
    if kind != "tar":
        archive = pack(tmp_path / f"b.{kind}", {"good": b"1", "mask.tif": bytes(1 << 20)})
        unpack(archive, out.with_name("small"))  # small masks may shrink a lot
        assert (out.with_name("small") / "mask.tif").stat().st_size == 1 << 20
        monkeypatch.setattr(archives, "SMALL", 1 << 19)
        refused(archive, out.with_name("bomb"), "grow more than 300 times")


@KINDS
def test_a_disk_that_fills_up(tmp_path, out, kind, monkeypatch):
    def full(source, out, length):
        raise OSError(28, "No space left on device")

    archive = pack(tmp_path / f"a.{kind}")
    monkeypatch.setattr(shutil, "copyfileobj", full)
    refused(archive, out, "No space left on device; it was not unpacked", early=False)


@KINDS
def test_truncated_damaged_and_other_files_are_refused(tmp_path, out, kind):
    whole = pack(tmp_path / f"a.{kind}").read_bytes()
    end = len(whole) - 9000 * (kind == "tar")  # the zeros that fill it up are not missed
    cases = [whole[: int(end * share)] for share in (0.0, 0.3, 0.97, 0.999)]
    cases += [b"<html>Log in</html>", b"version https://git-lfs.github.com/spec/v1\n"]
    data = pack(tmp_path / f"a.{kind}", {"x": NOISE}).read_bytes()
    for at in (len(data) // 10, len(data) // 2, len(data) * 9 // 10 - 1500):
        cases += [data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]] if kind != "tar" else []  # no checksums
    for number, case in enumerate(cases):
        (tmp_path / f"a.{kind}").write_bytes(case)
        refused(tmp_path / f"a.{kind}", out / str(number), "truncated or damaged", early=False)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x7]) + data[at + 1 :]


TWO = {"x": bytes(512), "y": b"1"}


@pytest.mark.parametrize(
    "name, files, change, words",
    [
        ("a.zip", {"goodXname": b""}, lambda data: data.replace(b"goodXname", b"good\0name"), "unprintable"),
        ("a.zip", TWO, lambda data: flipped(data, data.index(b"PK\x01\x02") + 8), "'x' is encrypted"),
        ("a.zip", TWO, lambda data: flipped(data, len(data) - 10), "truncated or damaged"),  # the list's length
        ("a.zip", TWO, lambda data: data[:-12] + b"\1" + data[-11:], "lists other members than it declares"),
        ("a.tar", TWO, lambda data: data[:1024], "ends before its end mark"),
        ("a.tar", TWO, lambda data: flipped(data, 1024 + 100), "truncated or damaged"),
        ("a.tar", TWO, lambda data: data + bytes(50_000), "continues after its end mark"),
    ],
)
def test_edited_archives_are_refused(tmp_path, out, name, files, change, words, monkeypatch):
    monkeypatch.setattr(archives, "MAX_HEADER", 20_000)
    archive = pack(tmp_path / name, files)
    archive.write_bytes(change(archive.read_bytes()))
    refused(archive, out, words)


@pytest.mark.parametrize(
    "type, size, words",
    [(tarfile.REGTYPE, 1 << 50, "grow more than 300 times"), (tarfile.GNUTYPE_LONGNAME, 1 << 25, "header is too long")],
)
def test_a_header_that_declares_too_much_is_refused(tmp_path, out, type, size, words):
    info = tarfile.TarInfo("x")
    info.type, info.size = type, size
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(info.tobuf() + bytes(1024))
    refused(tmp_path / "a.tgz", out, words)


def test_members_that_share_their_bytes_are_refused(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {f"n{i}": NOISE for i in range(3)})
    data = bytearray(archive.read_bytes())
    at = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    for i in at:  # all of them the first one's
        data[i + 42 : i + 46] = bytes(4)
    archive.write_bytes(data[: len(NOISE)] + data[at[0] :])
    refused(archive, out, "truncated or damaged")


def test_a_zip_with_other_sizes_than_it_declares(tmp_path, out):
    archive = pack(tmp_path / "a.zip", {"x": bytes(5000)})
    data, real = archive.read_bytes(), (5000).to_bytes(4, "little")
    archive.write_bytes(data.replace(real, (6000).to_bytes(4, "little")))
    refused(archive, out, "'x' holds less than the 6,000 bytes that it declares", early=False)
    archive.write_bytes(data.replace(real, (4000).to_bytes(4, "little")))
    refused(archive, out.with_name("more"), "truncated or damaged", early=False)
    assert (out.with_name("more") / "x").stat().st_size <= 4000, "not one byte more than declared is written"


def test_missing_and_of_another_kind(tmp_path, out):
    refused(tmp_path / "gone.zip", out, "gone.zip: not found")
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    refused(tmp_path / "a.rar", out, ".tar.gz")
    (tmp_path / "folder.zip").mkdir()
    assert not is_archive(tmp_path / "a.rar") and not is_archive(tmp_path / "folder.zip")
