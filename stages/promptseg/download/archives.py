"""Safe unpacking of archives: nothing is written outside the folder, no links, no decompression bombs.

| member of a .zip, .tar, .tar.gz or .tgz           | treatment                                                  |
|---------------------------------------------------|------------------------------------------------------------|
| file, folder                                      | written, with default permissions                          |
| `__MACOSX/`, `._*` (added by macOS)               | skipped                                                    |
| link to a place within the archive                | skipped, with a note: links are never created              |
| link to elsewhere, device, pipe, sparse file      | refused                                                    |
| `..`, `/x`, `C:x`, backslash, control characters  | refused                                                    |
| a repeated name, also by case or Unicode form     | refused                                                    |
| existing file                                     | unchanged if it has the same bytes, else refused           |
| encrypted member                                  | refused                                                    |
| more members, or more bytes, than the limits      | refused before anything is written                         |
| truncated, wrong checksum, other than declared    | refused                                                    |
"""

import contextlib
import functools
import gzip
import io
import lzma
import shutil
import stat
import struct
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from tqdm.utils import CallbackIOWrapper

from promptseg.core import progress
from promptseg.core.errors import UserError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_MEMBERS = 1_000_000
# Deflate can reach 1032; images hardly shrink, and a stack of masks is seldom alone in an archive.
MAX_RATIO, SMALL = 300, 1 << 30  # bytes out for each byte in, checked for archives that hold more than 1 GiB
MAX_HEADER = 16 << 20  # bytes: tarfile reads a long name whole, whatever length a crafted header declares
CHUNK = 1 << 20
_ZIP_END = (1 << 16) + 22  # bytes: the last record of a .zip and the longest comment behind it
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError,
    ValueError, OverflowError, IndexError, struct.error,
)  # fmt: skip

Member = tuple[tarfile.TarInfo, Callable[[], IO[bytes]]]  # also of a .zip; the function opens the bytes of a file


def is_archive(path: Path) -> bool:
    """Tell whether a path is a file with the name of an archive that `unpack` supports."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def download(url: str, folder: Path, name: str | None = None, home: Path | None = None, **checks: Any) -> None:
    """Download an archive, unpack it and delete it.

    Args:
        url: address of the archive.
        folder: where it is stored meanwhile.
        name: of the archive; None: the last part of its address.
        home: folder to unpack into; None: `folder`.
        checks: arguments of `http.fetch`, such as `md5`.

    Raises:
        UserError: as `http.fetch` and `unpack`.
    """
    from promptseg.download import http  # 0.1 s, for those that download

    archive = Path(folder) / (name or Path(url).name)
    http.fetch(url, archive, **checks)
    unpack(archive, home or Path(folder))
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, streamed, with a progress bar on a terminal.

    Args:
        archive: file to unpack; it is not changed.
        folder: created if missing. On failure the files that were already written remain: give a temporary folder.

    Raises:
        UserError: for every case that the module's table refuses, and when the disk is full; it names archive and
            member.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.name.lower().endswith(SUFFIXES):
        raise UserError(f"{archive}: not an archive of a known kind; give one of {', '.join(SUFFIXES)}, or unpack it")
    try:
        with _opened(archive) as members:
            chosen = _checked(archive, folder, members)
            folder.mkdir(parents=True, exist_ok=True)
            _write(archive, folder, chosen)
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: {error}; unpack it by hand if you trust it") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{archive}: truncated or damaged ({reason:.120}); fetch it again") from None
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or archive}: not found") from None
    except OSError as error:
        raise UserError(
            f"{archive}: {error.filename or folder}: {error.strerror or error}; it was not unpacked"
        ) from None


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Iterator[Member]]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(archive, file)
        return
    with open(archive, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with (
        (gzip.open if packed else open)(archive, "rb") as stream,
        tarfile.open(fileobj=stream, mode="r:", tarinfo=_StrictTarInfo) as tar,
    ):
        yield _tar_members(tar, stream)


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[Member]:
    """Members of a .zip, with the types that they would have in a .tar."""
    entries = file.infolist()
    if _declared_entries(archive) not in (len(entries) & 0xFFFF, 0xFFFF):
        raise zipfile.BadZipFile("it lists other members than it declares")
    if sum(entry.compress_size for entry in entries) > archive.stat().st_size:
        raise zipfile.BadZipFile("its members overlap")
    for entry in entries:
        if entry.flag_bits & 0x1:
            raise UserError(f"{archive}: {entry.filename!r} is encrypted; unpack it by hand and give the folder")
        info = tarfile.TarInfo(entry.orig_filename)  # all of it; `filename` ends at the first zero byte
        info.size, kind = entry.file_size, stat.S_IFMT(entry.external_attr >> 16)
        if kind == stat.S_IFLNK:
            with file.open(entry) as source:
                info.type, info.linkname = tarfile.SYMTYPE, source.read(4096).decode("utf-8", "replace")
        elif entry.is_dir():
            info.type = tarfile.DIRTYPE
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            info.type = tarfile.CHRTYPE
        yield info, functools.partial(file.open, entry)


def _declared_entries(archive: Path) -> int:
    """The number of members that a .zip declares at its end, in 16 bits; zipfile stops where their list seems to."""
    with open(archive, "rb") as file:
        file.seek(max(0, archive.stat().st_size - _ZIP_END))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return int.from_bytes(tail[at + 10 : at + 12], "little")


def _tar_members(tar: tarfile.TarFile, stream: io.BufferedIOBase) -> Iterator[Member]:
    for info in tar:
        yield info, functools.partial(tar.extractfile, info)  # type: ignore[misc]  # None only for what is no file
    # Read to the end, where gzip has its checksum; tar pads with zeros to a round size.
    if stream.read(MAX_HEADER) and stream.read(1):
        raise tarfile.ReadError("it continues after its end mark")


class _StrictTarInfo(tarfile.TarInfo):
    """Refuses headers that are damaged or cut off, which tarfile takes for the archive's end, or too long."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Parse a header."""
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):
                raise
            raise tarfile.ReadError(f"{error}: it ends before its end mark") from None
        if not info.isreg() and not 0 <= info.size <= MAX_HEADER:
            raise tarfile.ReadError("a header is too long")
        return info


def _checked(archive: Path, folder: Path, members: Iterator[Member]) -> dict[PurePosixPath, Member]:
    """Files and folders to write. Raises UserError or FilterError at the first that is refused."""
    chosen: dict[PurePosixPath, Member] = {}
    by_form: dict[str, tarfile.TarInfo] = {}
    links = total = 0
    for count, (info, opener) in enumerate(members, 1):
        total += max(0, info.size)
        if count > MAX_MEMBERS:
            raise UserError(f"{archive}: more than {MAX_MEMBERS:,} members; unpack it by hand and give the folder")
        if total > max(SMALL, MAX_RATIO * archive.stat().st_size):
            raise UserError(f"{archive}: it would grow more than {MAX_RATIO} times, which images do not; not unpacked")
        path, link = PurePosixPath(info.name), info.issym() or info.islnk()
        where = f"{archive}: {info.name!r}"
        # tarfile's filter reads paths as this system does, and would strip the `/` of `/x`.
        if path.is_absolute() or ".." in path.parts or _odd(info.name) or link and _odd(info.linkname):
            raise UserError(f"{where} is unprintable or may lead elsewhere; unpack it by hand if you trust it")
        if not path.parts or "__MACOSX" in path.parts or path.name.startswith("._"):
            continue
        tarfile.data_filter(info, str(folder))
        if info.issparse() or info.size < 0:
            raise UserError(f"{where} is a sparse or damaged file; unpack it by hand and give the folder")
        if link:
            links += 1
            continue
        form = unicodedata.normalize("NFC", str(path)).casefold()
        if form in by_form and not (by_form[form].isdir() and info.isdir()):
            raise UserError(f"{where} and {by_form[form].name!r} would be one file on some disks; rename one of them")
        by_form[form], chosen[path] = info, (info, opener)
    if not by_form:  # zeros are an empty .tar
        raise UserError(f"{archive}: truncated or damaged (there are no files in it); fetch it again")
    if links:
        print(f"note: {archive.name}: {links} links were skipped", file=sys.stderr)
    return chosen


def _odd(path: str) -> bool:
    """Whether a path has unprintable characters, or a drive or folders in Windows' notation."""
    unprintable = any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in path)
    return unprintable or "\\" in path or bool(PureWindowsPath(path).drive)


def _write(archive: Path, folder: Path, chosen: dict[PurePosixPath, Member]) -> None:
    total, free = sum(info.size for info, _ in chosen.values()), shutil.disk_usage(folder).free
    if total > free:
        raise UserError(
            f"{archive}: unpacked it takes {total:,} bytes, and {folder} has {free:,} free; free some "
            "space and try again"
        )
    with progress.bar(total=total, unit="B", unit_scale=True, desc=archive.name) as bar:
        for path, (info, opener) in chosen.items():
            target, where = folder / path, f"{archive}: {info.name!r}"
            if info.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opener() as source:
                if target.exists():
                    if not _same(source, target):
                        raise UserError(f"{where} exists already, with other contents: {target}; remove one of the two")
                    continue
                with open(target, "xb") as out:  # both libraries read no more than the declared size
                    shutil.copyfileobj(source, CallbackIOWrapper(bar.update, out, "write"), CHUNK)
                    if out.tell() != info.size:
                        raise UserError(f"{where} holds less than the {info.size:,} bytes that it declares")


def _same(source: IO[bytes], target: Path) -> bool:
    """Whether an existing file has the same bytes (a license that several archives contain)."""
    with open(target, "rb") as existing:
        while chunk := source.read(CHUNK):
            if existing.read(len(chunk)) != chunk:
                return False
        return not existing.read(1)
