"""File names of datasets: natural order, and listing with checks."""

import re
from pathlib import Path

from promptseg.core.errors import UserError


def natural(name: str) -> tuple:
    """Sort key that puts `p9` before `p10`; names that differ only in case are ordered by the name itself."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)], name


def listed(folder: Path, suffix: str, remedy: str) -> set[str]:
    """List the names of a folder's files.

    Args:
        folder: folder to list.
        suffix: of the files, in any case. Hidden files are left out: systems and unpackers make them.
        remedy: what to do where the folder is missing, for the message.

    Raises:
        UserError: the folder is missing, or a name has unprintable characters.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; {remedy}")
    files = (path.name for path in folder.iterdir() if path.suffix.lower() == suffix)
    names = {name for name in files if not name.startswith(".")}
    for name in names:
        if not name.isprintable():
            raise UserError(f"{folder}: the name {name!r} has unprintable characters; rename the file")
    return names
