"""Folders that datasets read: filled by an entry of `download`, or the user's own."""

from pathlib import Path

RAW = Path("data/raw")


def download_name(raw: str) -> str | None:
    """Return the entry of `download` that fills a folder in data/raw; None for a folder of the user's."""
    folder = Path(raw)
    return folder.relative_to(RAW).parts[0] if folder.is_relative_to(RAW) and folder != RAW else None
