"""Raw files of a dataset: a generated sample, the official download, or archives that the user has."""

from pathlib import Path

from promptseg import datasets
from promptseg.core import params, user_paths
from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.download.archives import SUFFIXES, is_archive, unpack


def obtain(name: str, settings: "params.Download", scale: params.Scale, seed: int, folder: Path) -> None:
    """Fill a folder with a dataset in its official layout and verify it, whole or not at all.

    Args:
        name: of the entry in params.yaml.
        settings: reader and source. The source is `sample`, `official`, an archive, a folder with archives at its top,
            which are all unpacked, or None: as `scale.data` says.
        scale: of the study.
        seed: of the sample.
        folder: output.

    Raises:
        UserError: the source is missing or is a folder without archives (its files are used where they are), or the
            download, an archive or the verification failed.
    """
    dataset = datasets.load(settings.reader)
    source = settings.source or scale.data
    local = None if source in ("sample", "official") else user_paths.resolve(source)
    archives = _archives(name, local, folder) if local else []
    with replacing(folder) as aside:
        try:
            aside.mkdir()
            if local:
                for archive in archives:
                    unpack(archive, aside)
            elif source == "sample":
                datasets.load_sample(settings.reader).write(aside, seed)
            else:
                dataset.download(aside)
            datasets.verify(dataset, aside)
        except UserError as error:  # the temporary folder is removed: name the one that the user knows
            raise UserError(str(error).replace(str(aside), str(local or folder))) from None


def _archives(name: str, source: Path, folder: Path) -> list[Path]:
    """The archives of a source of the user's, which is an archive or a folder of archives. Raises UserError."""
    key = f"params.yaml: download.{name}.source"
    if not source.is_dir() and not is_archive(source):
        what = "no archive" if source.is_file() else "nothing at"
        raise UserError(
            f"{key}: {what} {str(source)!r}; give an archive ({', '.join(SUFFIXES)}), a folder of archives, `sample` "
            "or `official`"
        )
    if source.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{key}: {source} is in {folder}, which is replaced; move it to another place")
    if not source.is_dir():
        return [source]
    archives = sorted(path for path in source.iterdir() if is_archive(path) and not path.name.startswith("."))
    if not archives:
        raise UserError(f"{key}: {source} is a folder; set datasets.{name}.raw to it, and remove download.{name}")
    return archives
