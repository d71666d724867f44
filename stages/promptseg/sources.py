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
    with replacing(folder) as aside:
        if source == "sample":
            aside.mkdir()
            dataset.sample(aside, seed)
        elif source == "official":
            aside.mkdir()
            dataset.download(aside)
        else:
            _copy(name, Path(source).expanduser(), aside)
        try:
            dataset.verify(aside)
        except Problem as problem:  # the files are still aside, where nobody will find them later
            raise Problem(str(problem).replace(str(aside), source if settings.source else str(folder))) from None


def _copy(name: str, source: Path, folder: Path) -> None:
    # Copied and not linked: DVC makes what it stores read-only, and the user's own files must stay as they are.
    if not source.is_dir():
        raise Problem(
            f"params.yaml: datasets.{name}.source: no folder {str(source)!r}; give a folder, `sample` or `official`"
        )
    try:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".*"), copy_function=shutil.copyfile)
    except shutil.Error as error:
        raise Problem(f"{error.args[0][0][0]}: could not be copied: {error.args[0][0][2]}") from None
