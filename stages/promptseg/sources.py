"""Bring a dataset's files into the project: drawn, downloaded, or copied from a folder of the user's."""

import shutil
from pathlib import Path

from promptseg import datasets, params
from promptseg.errors import Problem
from promptseg.files import replacing


def obtain(name: str, settings: params.Dataset, scale: params.Scale, seed: int, folder: Path) -> None:
    """Fill `folder` with the dataset in its official layout, checked; whole or not at all. Raises Problem."""
    dataset = datasets.load(name)
    source = settings.source or scale.data
    theirs = None if source in ("sample", "official") else _existing(name, source)
    with replacing(folder) as aside:
        try:
            if theirs:
                _copy(theirs, aside, above=set(theirs.resolve().parents))
            elif source == "sample":
                aside.mkdir()
                dataset.sample(aside, seed)
            else:
                aside.mkdir()
                dataset.download(aside)
            dataset.verify(aside)
        except Problem as problem:  # the files are still aside, where nobody will find them later
            raise Problem(str(problem).replace(str(aside), str(theirs or folder))) from None


def _existing(name: str, source: str) -> Path:
    path = Path(source).expanduser()
    if not path.is_dir():
        raise Problem(
            f"params.yaml: datasets.{name}.source: no folder {source!r}; give a folder, `sample` or `official`"
        )
    return path


def _copy(source: Path, folder: Path, above: set[Path]) -> None:
    """Copy a folder without what is hidden in it; links become what they lead to.

    Copied and not linked, and without the source's permissions: DVC makes what it stores read-only, the user's own
    files must stay as they are, and what cannot be written cannot be replaced later. above: the folders on the way
    here; a link back to one of them would go round for ever.
    """
    real = source.resolve()
    if real in above:
        raise Problem(f"{source}: a link to a folder that it lies in; remove the link")
    folder.mkdir()
    for path in sorted(source.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            _copy(path, folder / path.name, above | {real})
            continue
        try:
            shutil.copyfile(path, folder / path.name)
        except OSError as error:
            raise Problem(f"{path}: could not be copied: {error.strerror or error}") from None
