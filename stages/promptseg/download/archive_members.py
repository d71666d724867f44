"""What lies in a .zip, .tar, .tar.gz or .tgz, member by member, as the archive itself announces it."""

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from promptseg.core.errors import UserError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_TAR_READ = 16 << 20  # tarfile reads a long name in one piece, however long a crafted header says that it is
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """size: as announced, in bytes; target: where a link leads, from the archive's top; open: the bytes of a file."""

    name: str
    kind: Literal["file", "folder", "link", "special"]
    size: int
    target: str
    open: Callable[[], IO[bytes]]


@contextmanager
def opened(archive: Path) -> Iterator[Iterator[Member]]:
    """The members of an archive, in its own order. Raises UserError or one of DAMAGE, then or while they are read."""
    if not archive.name.lower().endswith(SUFFIXES):
        raise UserError(
            f"{archive}: no archive that can be unpacked here; give one of {', '.join(SUFFIXES)}, or unpack it"
        )
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(archive, file)
    else:
        with open(archive, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as plain:
                gauge = _Gauge(plain)
                with tarfile.open(fileobj=gauge, mode="r:") as file:
                    yield _tar_members(file, gauge)


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[Member]:
    entries = file.infolist()
    if sum(entry.compress_size for entry in entries) > archive.stat().st_size:
        raise zipfile.BadZipFile("its members overlap")
    for entry in entries:
        if entry.flag_bits & 0x1:
            raise UserError(f"{archive}: {entry.filename!r} is encrypted; unpack it by hand and give the folder")
        mode = entry.external_attr >> 16
        kind = "folder" if entry.is_dir() else "file"
        if stat.S_ISLNK(mode):
            kind = "link"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "special"
        target = ""
        if kind == "link" and entry.file_size < 4096:
            target = _from_top(entry.filename, file.read(entry).decode("utf-8", "replace"))
        # filename ends at the first zero byte, orig_filename holds all of it
        yield Member(entry.orig_filename, kind, entry.file_size, target, lambda entry=entry: file.open(entry))


def _tar_members(file: tarfile.TarFile, gauge: "_Gauge") -> Iterator[Member]:
    for entry in file:
        kind = "folder" if entry.isdir() else "file" if entry.isreg() and not entry.issparse() else "special"
        target = ""
        if entry.issym() or entry.islnk():
            # a hard link's target is counted from the top already
            kind, target = "link", _from_top(entry.name, entry.linkname) if entry.issym() else entry.linkname
        yield Member(entry.name, kind, entry.size, target, lambda entry=entry: file.extractfile(entry))
    # tarfile takes a header that is cut off or damaged for the end.
    if gauge.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off before its end mark")
    gauge.drain()


def _from_top(name: str, target: str) -> str:
    """Where the soft link of that name leads, counted from the archive's top; an absolute path stays one."""
    home = name.rpartition("/")[0]
    return target if re.match("/|[A-Za-z]:", target) or not home else f"{home}/{target}"


class _Gauge:
    """What tarfile reads from: it remembers the last block, and refuses to read too much at once."""

    def __init__(self, file: IO[bytes]):
        self._file, self.last = file, b""
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        if count > _TAR_READ:
            raise tarfile.ReadError("a header of that length is none")
        self.last = self._file.read(count)
        return self.last

    def drain(self) -> None:
        """Read to the end, where gzip keeps its checksum; tar fills up with zeros to a round size."""
        for _ in range(2):
            if not self._file.read(_TAR_READ):
                return
        raise tarfile.ReadError("it goes on after its end mark")
