"""Names of files as datasets have them: in the order in which people count, and none that cannot be shown."""

import re
from pathlib import Path

from promptseg.core.errors import UserError


def natural(name: str) -> tuple:
    """Key that sorts `p9` before `p10`; the name itself decides between twins by case."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)], name


def listed(folder: Path, suffix: str, mend: str) -> set[str]:
    """The names of the files of this suffix, in any case; hidden ones are what systems and unpackers leave behind.

    Raises UserError where the folder is missing (mend: what to do then), or a name holds what cannot be shown.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: not found; {mend}")
    files = (path.name for path in folder.iterdir() if path.suffix.lower() == suffix)
    names = {name for name in files if not name.startswith(".")}
    for name in names:
        if not name.isprintable():
            raise UserError(f"{folder}: the name {name!r} holds characters that cannot be shown; rename the file")
    return names
