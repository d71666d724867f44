"""Released checkpoints of models: built in, from the Hugging Face hub, or from the user's files."""

import os
import re
import sys
from pathlib import Path

from promptseg import models, tiny
from promptseg.core import files, params, user_paths
from promptseg.core.errors import NotEnoughMemoryError, UserError, of_system
from promptseg.nn import precision, weights
from promptseg.nn.segmenter import Segmenter

_FILES = ["config.json", "vocab.json", "merges.txt", "vocab.txt"]  # beside the tensors
TIMEOUT = 10  # seconds for the hub's first response


def obtain(name: str, settings: params.Model, scale: params.Scale, seed: int, folder: Path) -> None:
    """Write a model's released weights in promptseg's format, with the precision of its encoder, whole or not at all.

    Args:
        name: of the model.
        settings: of the model's entry in params.yaml.
        scale: of the study; its `checkpoints` is the source where the settings have none.
        seed: of random weights.
        folder: output.

    Raises:
        UserError: the source is missing, cannot be reached or has no weights of this model.
    """
    segmenter = released(name, settings, settings.source or scale.checkpoints, seed)
    precision.check(settings.precision, type(segmenter))
    config = {**segmenter.configuration(), **precision.configuration(settings.precision, segmenter)}
    weights.write(folder, config, segmenter.state_dict(), segmenter.files())


def released(name: str, settings: params.Model, source: str, seed: int) -> Segmenter:
    """Load the released weights of a model.

    Args:
        name: of the model.
        settings: repository and commit on the hub, where they are not the model's own.
        source: `tiny`, `official`, or a folder or file of released weights.
        seed: of random weights.

    Raises:
        UserError: the source is missing, cannot be reached or has no weights of this model.
    """
    model = models.load(name)
    if source == "tiny":
        return _built_in(name, seed)
    if source != "official":
        return _converted(name, _existing(source, name))
    repository, revision = official(model, settings)
    if repository:
        return _converted(name, _from_hub(repository, revision, model.RELEASED))
    return model.create("full", seed)


def official(model: type[Segmenter], settings: params.Model) -> tuple[str | None, str | None]:
    """Repository and commit on the hub: those of params.yaml, else the model's own; None where it has none."""
    return (settings.official, settings.revision) if settings.official else model.OFFICIAL


def _built_in(name: str, seed: int) -> Segmenter:
    """The tiny model, with its shipped weights, or with random ones where none are shipped."""
    model = models.load(name)
    if model.BACKBONE:
        return model.convert(tiny.FOLDER / model.BACKBONE, "tiny")  # type: ignore[call-arg]  # those of CLIP take it
    folder = tiny.FOLDER / name
    return model.load(folder, 1) if folder.is_dir() else model.create("tiny", seed)


def _converted(name: str, source: Path) -> Segmenter:
    try:
        return models.load(name).convert(source)
    except (UserError, NotEnoughMemoryError, OSError):
        raise
    except Exception as error:  # on the files of another model, transformers and tokenizers raise anything
        others = UserError(f"{source}: not the released weights of {name} ({_first_line(error)}); fetch them again")
        raise of_system(error, source) or others from error


def _existing(source: str, name: str) -> Path:
    path = user_paths.resolve(source)
    if not path.exists():
        raise UserError(
            f"{name}: nothing at {source!r}; as its source (models.{name}.source in params.yaml) give a folder, a "
            "file, `tiny` or `official`"
        )
    return path


def _from_hub(repository: str, revision: str | None, tensors: str) -> Path:
    """Download the released files with Hugging Face's client, its cache and its login; returns their folder.

    Without a revision the newest is taken, and named on stderr. `tensors` is the name of the weights' file.
    PROMPTSEG_MIRROR, where it is set, replaces the address of the hub.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.utils import disable_progress_bars, logging

    logging.set_verbosity_error()  # it logs every retry
    if not sys.stderr.isatty():
        disable_progress_bars()
    hub = (os.environ.get("PROMPTSEG_MIRROR") or constants.ENDPOINT).rstrip("/")
    failure = _unreachable(hub)
    try:
        folder = Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=[*_FILES, tensors, f"{tensors}.index.json", tensors.replace(".", "-*-of-*.")],
                endpoint=hub,
                local_files_only=failure is not None,
            )
        )
    except Exception as error:  # its errors and those of httpx and of JSON have no common base
        reason, ask = _first_line(failure or error), ""
        closed = isinstance(error, HfHubHTTPError) and error.response.status_code == 401
        if closed or isinstance(error, RepositoryNotFoundError):  # gated ones too, with or without a login
            ask = f"ask for access at https://huggingface.co/{repository} and log in with `hf auth login`, or "
        raise UserError(
            f"{repository}: cannot be downloaded from the hub ({reason}); {ask}download its files by hand and give "
            "their folder: models.<name>.source in params.yaml, or --checkpoint"
        ) from error
    _check_blobs(folder)
    if revision is None:
        keep = "to keep to it give models.<name>.official and revision in params.yaml"
        print(f"note: {repository}: its newest commit {folder.name} is taken; {keep}", file=sys.stderr)
    return folder


def _check_blobs(folder: Path) -> None:
    """Verify files of the hub's cache, which its client does not; large ones link to blobs named by their sha256."""
    for path in sorted(folder.iterdir()):
        blob = path.resolve()
        if re.fullmatch("[0-9a-f]{64}", blob.name) and files.sha256(blob) != blob.name:
            raise UserError(f"{path}: damaged since the hub sent it, or on the way; delete {blob} and try again")


def _unreachable(hub: str) -> Exception | None:
    """The error of a first request to the hub, if any; the hub's client would retry for a minute and a half."""
    from huggingface_hub import get_session

    try:
        get_session().head(hub, timeout=TIMEOUT)
    except Exception as error:
        return error
    return None


def _first_line(error: Exception) -> str:
    """The first line of an error, with its type, and without logins and signatures in addresses."""
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: " + re.sub(r"(?<=//)[^/@\s]*@|\?[^\s'\"]*", "", line)
