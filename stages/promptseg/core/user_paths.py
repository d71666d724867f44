"""Paths that the user wrote in params.yaml or on the command line."""

from pathlib import Path

_DEPTH = 4  # of a temporary experiment below .dvc: tmp/exps/standalone/tmp1a2b3c


def resolve(text: str) -> Path:
    """Resolve `~`, and a relative path of a temporary experiment in the project that it was started from.

    `dvc exp run --temp` and `--queue` run in a copy of the project below .dvc/tmp/exps, from where `../leaves` leads
    elsewhere.

    Args:
        text: path as it was written.

    Returns:
        The path, whether it exists or not.
    """
    path, here = Path(text).expanduser(), Path.cwd()
    if path.is_absolute() or path.exists():
        return path
    for parent in here.parents:
        inner = here.relative_to(parent).parts
        if parent.name == ".dvc" and inner[:2] == ("tmp", "exps") and len(inner) >= _DEPTH:
            original = parent.parent.joinpath(*inner[_DEPTH:]) / path
            return original if original.exists() else path
    return path
