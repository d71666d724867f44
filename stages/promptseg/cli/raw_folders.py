"""Folders that datasets read: filled by an entry of `download`, or the user's own."""

import re
from pathlib import Path

from promptseg.core.errors import UserError

RAW = Path("data/raw")
_SPECIAL = re.compile(r'["$`\\{}]|[^\S ]')  # what a shell or dvc.yaml takes for more than a name, even in quotes


def download_name(raw: str) -> str | None:
    """Return the entry of `download` that fills a folder in data/raw; None for a folder of the user's."""
    folder = Path(raw)
    return folder.relative_to(RAW).parts[0] if folder.is_relative_to(RAW) and folder != RAW else None


def check_name(raw: str, where: str) -> None:
    """Raise UserError, beginning with `where`, for a folder's name that a stage's command cannot have."""
    if found := _SPECIAL.search(raw):
        raise UserError(f"{where}: it contains {found[0]!r}, which commands cannot have; link the folder: ln -s")
