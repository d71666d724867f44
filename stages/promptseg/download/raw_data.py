"""Bring a dataset's files into the project: drawn, downloaded, or copied and unpacked from what the user has."""

import shutil
from pathlib import Path

from promptseg import datasets
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.download.archive_members import SUFFIXES
from promptseg.download.archives import is_archive, unpack


def obtain(name: str, settings: params.Dataset, scale: params.Scale, seed: int, folder: Path) -> None:
    """Fill `folder` with the dataset in its official layout, checked; whole or not at all. Raises UserError.

    A source of the user's is an archive, or a folder; the archives at a folder's top are unpacked beside the rest.
    """
    dataset = datasets.load(settings.reader)
    source = settings.source or scale.data
    theirs = None if source in ("sample", "official") else _existing(name, source)
    with replacing(folder) as aside:
        try:
            if theirs and theirs.is_dir():
                _copy(theirs, aside, above=set(theirs.resolve().parents), top=True)
            elif theirs:
                unpack(theirs, aside)
            elif source == "sample":
                aside.mkdir()
                dataset.sample(aside, seed)
            else:
                aside.mkdir()
                dataset.download(aside)
            dataset.verify(aside, *datasets.options(name, settings))
        except UserError as problem:  # the files are still aside, where nobody will find them later
            raise UserError(str(problem).replace(str(aside), str(theirs or folder))) from None


def _existing(name: str, source: str) -> Path:
    path = Path(source).expanduser()
    if not path.is_dir() and not is_archive(path):
        what = "no archive" if path.is_file() else "no folder"
        raise UserError(
            f"params.yaml: datasets.{name}.source: {what} {source!r}; give a folder, an archive "
            f"({', '.join(SUFFIXES)}), `sample` or `official`"
        )
    return path


def _copy(source: Path, folder: Path, above: set[Path], top: bool = False) -> None:
    """Copy a folder without what is hidden in it; links become what they lead to. top: archives are unpacked.

    Copied and not linked, and without the source's permissions: DVC makes what it stores read-only, the user's own
    files must stay as they are, and what cannot be written cannot be replaced later. above: the folders on the way
    here; a link back to one of them would go round for ever.
    """
    real = source.resolve()
    if real in above:
        raise UserError(f"{source}: a link to a folder that it lies in; remove the link")
    folder.mkdir()
    archives = []
    for path in sorted(source.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            _copy(path, folder / path.name, above | {real})
            continue
        if top and is_archive(path):
            archives.append(path)
            continue
        try:
            shutil.copyfile(path, folder / path.name)
        except OSError as error:
            raise UserError(f"{path}: could not be copied: {error.strerror or error}") from None
    for path in archives:  # last: what is unpacked already, beside its archive, is only compared
        unpack(path, folder)
