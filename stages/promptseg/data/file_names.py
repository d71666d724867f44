"""File names of datasets: natural order, suffixes of images, and listing with checks."""

import os
import re
from pathlib import Path

from promptseg.core.errors import UserError

# Of files that may be images; what they are, their content tells.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp")


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


def walk(folder: Path) -> list[str]:
    """List all files in and below a folder, through links to folders as well.

    Args:
        folder: that exists. Hidden files and folders are left out, as is __MACOSX: systems and archivers make them.

    Returns:
        Paths relative to the folder, with `/`, sorted. A link to a folder that it lies in is not followed.
    """
    paths = []
    for root, folders, names in os.walk(folder, followlinks=True):
        above = {os.path.realpath(root), *(os.path.realpath(parent) for parent in _parents(root, folder))}
        folders[:] = [
            name for name in folders
            if not name.startswith(".") and name != "__MACOSX"
            and os.path.realpath(os.path.join(root, name)) not in above
        ]  # fmt: skip
        below = os.path.relpath(root, folder).replace(os.sep, "/")
        paths += [name if below == "." else f"{below}/{name}" for name in names if not name.startswith(".")]
    return sorted(paths)


def _parents(root: str, folder: Path) -> list[Path]:
    """The folders from `root` up to the folder that is walked."""
    return [parent for parent in Path(root).parents if parent == folder or folder in parent.parents]
