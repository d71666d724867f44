"""Members of .zip, .tar, .tar.gz and .tgz archives, as the archive declares them."""

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
_TAR_READ = 16 << 20  # bytes at once: tarfile reads a long name whole, whatever length a crafted header declares
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    Attributes:
        name: as it is stored.
        kind: "file", "folder", "link" or "special" (a device, a pipe, a sparse file).
        size: declared size in bytes.
        target: of a link, relative to the archive's top; otherwise "".
        open: function that opens the bytes of a file.
    """

    name: str
    kind: Literal["file", "folder", "link", "special"]
    size: int
    target: str
    open: Callable[[], IO[bytes]]


@contextmanager
def opened(archive: Path) -> Iterator[Iterator[Member]]:
    """Open an archive.

    Yields:
        Its members, in their order.

    Raises:
        UserError: not an archive of these kinds, or a member is encrypted.
        DAMAGE: when it is opened or while its members are read.
    """
    if not archive.name.lower().endswith(SUFFIXES):
        raise UserError(f"{archive}: not an archive of a known kind; give one of {', '.join(SUFFIXES)}, or unpack it")
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(archive, file)
    else:
        with open(archive, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as plain:
                recorder = _Recorder(plain)
                with tarfile.open(fileobj=recorder, mode="r:") as file:
                    yield _tar_members(file, recorder)


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


def _tar_members(file: tarfile.TarFile, recorder: "_Recorder") -> Iterator[Member]:
    for entry in file:
        kind = "folder" if entry.isdir() else "file" if entry.isreg() and not entry.issparse() else "special"
        target = ""
        if entry.issym() or entry.islnk():
            # a hard link's target is relative to the top already
            kind, target = "link", _from_top(entry.name, entry.linkname) if entry.issym() else entry.linkname
        yield Member(entry.name, kind, entry.size, target, lambda entry=entry: file.extractfile(entry))
    # tarfile takes a truncated or damaged header for the end.
    if recorder.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it ends before its end mark")
    recorder.drain()


def _from_top(name: str, target: str) -> str:
    """The target of a soft link relative to the archive's top; an absolute path is unchanged."""
    parent = name.rpartition("/")[0]
    return target if re.match("/|[A-Za-z]:", target) or not parent else f"{parent}/{target}"


class _Recorder:
    """File for tarfile that remembers the last block and refuses to read too much at once."""

    def __init__(self, file: IO[bytes]):
        self._file, self.last = file, b""
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        if count > _TAR_READ:
            raise tarfile.ReadError("a header is too long")
        self.last = self._file.read(count)
        return self.last

    def drain(self) -> None:
        """Read to the end, where gzip has its checksum; tar pads with zeros to a round size."""
        for _ in range(2):
            if not self._file.read(_TAR_READ):
                return
        raise tarfile.ReadError("it continues after its end mark")
