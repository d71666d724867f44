"""File names of datasets: natural order, the walk through folders, and listing with checks."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from promptseg.core.errors import UserError

# Of files that may be images; what they are, their content tells.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp")


def natural(name: str) -> tuple:
    """Sort key that puts `p9` before `p10`; names that differ only in case are ordered by the name itself."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)], name


def walk(folder: Path) -> list[str]:
    """List all files in a folder and below it, linked folders and files included.

    A link to a folder that the walk is in already is not followed.

    Args:
        folder: an existing folder.

    Returns:
        Paths relative to the folder, with `/`, sorted; without hidden files and folders, and __MACOSX of archivers.
    """
    paths = []
    # Of each folder the real paths of it and of those around it.
    inside: dict[str, tuple[str, ...]] = {str(folder): (os.path.realpath(folder),)}
    for root, folders, names in os.walk(folder, followlinks=True):
        around = inside.pop(root)
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        real = {name: os.path.realpath(os.path.join(root, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in around]
        inside |= {os.path.join(root, name): (*around, real[name]) for name in folders}
        below = os.path.relpath(root, folder).replace(os.sep, "/")
        paths += [name if below == "." else f"{below}/{name}" for name in names if not name.startswith(".")]
    return sorted(paths)


def with_suffix(paths: Iterable[str], suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[str]:
    """Keep paths that end in one of these suffixes, in any case; the suffixes are in lower case, with their point."""
    return [path for path in paths if os.path.splitext(path)[1].lower() in suffixes]


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
