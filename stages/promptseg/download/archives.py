"""Unpack an archive from outside, member by member: nothing lands outside the folder, no link, no bomb.

| found in a .zip, .tar, .tar.gz or .tgz            | what happens                                               |
|---------------------------------------------------|------------------------------------------------------------|
| file, folder                                      | written, with default permissions                          |
| `__MACOSX/`, `._*` (what macOS adds)              | left out                                                   |
| link that stays within the archive                | left out, with a note: no link is ever made                |
| link that leads out, device, pipe, sparse file    | refused                                                    |
| `..`, `/x`, `C:x`, backslash, control characters  | refused                                                    |
| a name twice, or twins by case or normal form     | refused                                                    |
| file that is there already                        | stays if it holds the same bytes, else refused             |
| encrypted member                                  | refused                                                    |
| more members, or more bytes, than the caps        | refused before anything is written                         |
| truncated, wrong checksum, other than announced   | refused                                                    |
"""

import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from promptseg.core import progress
from promptseg.core.errors import UserError
from promptseg.download.archive_members import DAMAGE, SUFFIXES, Member, opened

MAX_MEMBERS = 1_000_000
# Deflate can reach 1032; pictures hardly shrink, and a stack of masks is seldom alone in an archive.
MAX_RATIO, SMALL = 300, 1 << 30  # bytes out for each byte in, asked of archives that hold more than 1 GiB
CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """True for a file whose name says that `unpack` takes it."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of `archive` below `folder`, streamed; a progress bar is shown on a terminal.

    Raises UserError, which names the archive and the member, on whatever the table above refuses, and when the disk has
    no room. What was written until then stays: unpack into a folder that is thrown away on failure.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with opened(archive) as members:
            chosen = _checked(archive, members)
            folder.mkdir(parents=True, exist_ok=True)
            _fits(archive, folder, sum(member.size for member in chosen.values()))
            _write(archive, folder, chosen)
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{archive}: truncated or damaged ({reason:.120}); fetch it again") from None
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or archive}: not found") from None
    except OSError as error:
        raise UserError(
            f"{archive}: {error.filename or folder}: {error.strerror or error}; it was not unpacked"
        ) from None


def _checked(archive: Path, members: Iterator[Member]) -> dict[tuple[str, ...], Member]:
    """Files and folders to write, by the parts of their names. Raises UserError at the first that is refused."""
    chosen, seen, links, total = {}, {}, 0, 0
    for count, member in enumerate(members, 1):
        total += max(0, member.size)
        if count > MAX_MEMBERS:
            raise UserError(f"{archive}: more than {MAX_MEMBERS:,} members; unpack it by hand and give the folder")
        if total > max(SMALL, MAX_RATIO * archive.stat().st_size):
            raise UserError(f"{archive}: it would grow more than {MAX_RATIO} times, as no pictures do; not unpacked")
        parts = _parts(archive, member.name)
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._"):
            continue
        where = f"{archive}: {member.name!r}"
        if member.kind == "special" or member.size < 0:
            raise UserError(f"{where} is neither file nor folder; unpack it by hand and give the folder")
        if member.kind == "link":
            if _leads_out(member):
                raise UserError(f"{where} is a link that leads out of the archive; unpack it by hand and give the folder")
            links += 1
            continue
        twin = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if twin in seen and not seen[twin].kind == member.kind == "folder":
            raise UserError(f"{where} and {seen[twin].name!r} would be one file on some disks; rename one of them")
        seen[twin] = chosen[parts] = member
    if links:
        print(f"note: {archive.name}: {links} links were left out", file=sys.stderr)
    return chosen


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's name. Raises UserError unless it is a plain path below the archive's top."""
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        raise UserError(f"{archive}: the name {name!r} holds characters that cannot be shown; unpack it by hand")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or "\\" in name or ".." in parts or re.match("[A-Za-z]:", name):
        raise UserError(f"{archive}: the name {name!r} may lead elsewhere; unpack it by hand if you trust it")
    return parts


def _leads_out(link: Member) -> bool:
    """True for a link to above the archive's top, or to nowhere that can be told."""
    if not link.target or link.target.startswith("/") or "\\" in link.target or re.match("[A-Za-z]:", link.target):
        return True
    depth = 0
    for part in link.target.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


def _fits(archive: Path, folder: Path, total: int) -> None:
    free = shutil.disk_usage(folder).free
    if total > free:
        raise UserError(
            f"{archive}: unpacked it takes {total:,} bytes, and {folder} has room for {free:,}; free some and try again"
        )


def _write(archive: Path, folder: Path, chosen: dict[tuple[str, ...], Member]) -> None:
    total = sum(member.size for member in chosen.values())
    with progress.bar(total=total, unit="B", unit_scale=True, desc=archive.name) as bar:
        for parts, member in chosen.items():
            target = folder.joinpath(*parts)
            if member.kind == "folder":
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            where = f"{archive}: {member.name!r}"
            with member.open() as source:
                if target.exists():
                    _compare(where, source, target)
                    continue
                with open(target, "xb") as out:
                    for chunk in _pieces(where, source, member.size):
                        out.write(chunk)
                        bar.update(len(chunk))


def _pieces(where: str, source: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of a member, neither more nor fewer than announced."""
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > size:
            break
        yield chunk
    if written != size:
        raise UserError(f"{where} holds {'more' if written > size else 'less'} than the {size:,} bytes that it announces")


def _compare(where: str, source: IO[bytes], target: Path) -> None:
    """Raise UserError unless the file that is there already holds the same bytes (a licence that many archives bring)."""
    with open(target, "rb") as there:
        while chunk := source.read(CHUNK):
            if there.read(len(chunk)) != chunk:
                break
        if chunk or there.read(1):
            raise UserError(f"{where} is there already, with other contents: {target}; keep one of the two")
