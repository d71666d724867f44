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
# Deflate can reach 1032; images hardly shrink, and a stack of masks is seldom alone in an archive.
MAX_RATIO, SMALL = 300, 1 << 30  # bytes out for each byte in, checked for archives that hold more than 1 GiB
CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """Tell whether a path is a file with the name of an archive that `unpack` supports."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


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
    chosen, by_form, links, total = {}, {}, 0, 0
    for count, member in enumerate(members, 1):
        total += max(0, member.size)
        if count > MAX_MEMBERS:
            raise UserError(f"{archive}: more than {MAX_MEMBERS:,} members; unpack it by hand and give the folder")
        if total > max(SMALL, MAX_RATIO * archive.stat().st_size):
            raise UserError(f"{archive}: it would grow more than {MAX_RATIO} times, which images do not; not unpacked")
        parts = _parts(archive, member.name)
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._"):
            continue
        where = f"{archive}: {member.name!r}"
        if member.kind == "special" or member.size < 0:
            raise UserError(f"{where} is neither file nor folder; unpack it by hand and give the folder")
        if member.kind == "link":
            if _leads_out(member):
                raise UserError(
                    f"{where} is a link that leads out of the archive; unpack it by hand and give the folder"
                )
            links += 1
            continue
        form = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if form in by_form and not by_form[form].kind == member.kind == "folder":
            raise UserError(f"{where} and {by_form[form].name!r} would be one file on some disks; rename one of them")
        by_form[form] = chosen[parts] = member
    if links:
        print(f"note: {archive.name}: {links} links were skipped", file=sys.stderr)
    return chosen


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's name. Raises UserError unless it is a plain path below the archive's top."""
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        raise UserError(f"{archive}: the name {name!r} has unprintable characters; unpack it by hand")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or "\\" in name or ".." in parts or re.match("[A-Za-z]:", name):
        raise UserError(f"{archive}: the name {name!r} may lead elsewhere; unpack it by hand if you trust it")
    return parts


def _leads_out(link: Member) -> bool:
    """Whether a link leads above the archive's top, or its target is unknown."""
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
            f"{archive}: unpacked it takes {total:,} bytes, and {folder} has {free:,} free; free some "
            "space and try again"
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
    """The bytes of a member, neither more nor fewer than declared."""
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > size:
            break
        yield chunk
    if written != size:
        raise UserError(
            f"{where} holds {'more' if written > size else 'less'} than the {size:,} bytes that it declares"
        )


def _compare(where: str, source: IO[bytes], target: Path) -> None:
    """Raise UserError unless an existing file has the same bytes (a licence that several archives contain)."""
    with open(target, "rb") as existing:
        while chunk := source.read(CHUNK):
            if existing.read(len(chunk)) != chunk:
                break
        if chunk or existing.read(1):
            raise UserError(f"{where} exists already, with other contents: {target}; remove one of the two")
