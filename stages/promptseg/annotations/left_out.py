"""Notes on what annotation files hold beside areas: lines and points, which make no mask."""

from collections import Counter
from functools import cache
from pathlib import Path

from promptseg.core import progress
from promptseg.core.distributed import Ranks


def note(path: Path, kinds: Counter[str]) -> None:
    """Say on stderr, once in a process, what of a file was left out; nothing where nothing was.

    Args:
        path: of the annotation file.
        kinds: number of what was left out, by its kind in the format's own word.
    """
    if kinds:
        counted = ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds))
        _write_once(f"note: {path}: left out, as they are no areas: {counted}")


@cache
def _write_once(text: str) -> None:
    """Files are read once to verify them and again to prepare them."""
    if Ranks().main:
        progress.write(text)
