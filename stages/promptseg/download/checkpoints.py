"""Bring a model's released weights into the project: built in, from the hub, or from a folder of the user's."""

import os
import re
import sys
from pathlib import Path

from promptseg import models
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.nn import precision, weights
from promptseg.nn.segmenter import Segmenter

_WANTED = ["config.json", "vocab.json", "merges.txt"]  # beside the tensors
BUILT_IN = Path(__file__).parent.parent / "tiny"  # a folder for each model whose weights come with the project
TIMEOUT = 10  # seconds for the hub's first answer


def obtain(name: str, settings: params.Model, scale: params.Scale, seed: int, folder: Path) -> None:
    """Write `folder` with the model's weights in our own form, and the precision that they are used in, whole or not
    at all. Raises UserError.
    """
    segmenter = _obtained(name, settings, settings.source or scale.checkpoints, seed, f"models.{name}")
    precision.check(settings.precision, type(segmenter))
    config = {**segmenter.configuration(), **precision.configuration(settings.precision, segmenter)}
    weights.write(folder, config, segmenter.state_dict(), segmenter.files())


def _obtained(name: str, settings: params.Model, source: str, seed: int, key: str) -> Segmenter:
    """key: where `settings` stand in params.yaml."""
    model = models.load(name)
    networks = getattr(model, "NETWORKS", ())
    if set(networks) != set(settings.networks):
        raise UserError(f"params.yaml: {key}.networks: {' and '.join(networks) or 'none'} should stand there")
    if networks:
        parts = []
        for part in networks:
            entry = settings.networks[part]
            inside = source if source in ("tiny", "official") else f"{source}/{part}"
            parts.append(_obtained(part, entry, entry.source or inside, seed, f"{key}.networks.{part}"))
        return model.assemble(parts)
    if source == "tiny":
        return _built_in(name, seed)
    if source != "official":
        return _converted(name, _existing(source, key))
    if settings.official:
        tensors = getattr(model, "RELEASED", weights.TENSORS)
        return _converted(name, _from_hub(settings.official, settings.revision, tensors))
    return model.create("full", seed)


def _built_in(name: str, seed: int) -> Segmenter:
    """The tiny model, with the weights that come with the project where it has them, and random ones where not."""
    model = models.load(name)
    if hasattr(model, "BACKBONE"):
        return model.convert(BUILT_IN / model.BACKBONE)
    folder = BUILT_IN / name
    return model.load(folder, 1) if folder.is_dir() else model.create("tiny", seed)


def _converted(name: str, source: Path) -> Segmenter:
    try:
        return models.load(name).convert(source)
    except (UserError, OSError):
        raise
    except Exception as error:  # of files that are not this model's, transformers and tokenizers raise anything
        raise UserError(f"{source}: no released weights of {name} ({_plain(error)}); fetch them again") from error


def _existing(source: str, key: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"params.yaml: {key}.source: nothing at {source!r}; give a folder, a file, `tiny` or `official`")
    return path


def _from_hub(repository: str, revision: str | None, tensors: str) -> Path:
    """A folder with the released files, fetched with Hugging Face's own client, its cache and its login.

    tensors: the name of their file. The address PROMPTSEG_MIRROR, where it is set, takes the place of the hub's.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils import disable_progress_bars, logging

    logging.set_verbosity_error()  # it tells every retry in a line of its own
    if not sys.stderr.isatty():
        disable_progress_bars()
    hub = (os.environ.get("PROMPTSEG_MIRROR") or constants.ENDPOINT).rstrip("/")
    trouble = _unreachable(hub)
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=[*_WANTED, tensors],
                endpoint=hub,
                local_files_only=trouble is not None,
            )
        )
    except Exception as error:  # its errors, those of httpx and of what it makes of an answer have no common base
        reason = _plain(trouble or error)
        raise UserError(
            f"{repository}: not to be had from the hub ({reason}); fetch its files by hand and give their folder as "
            "models.<name>.source"
        ) from error


def _unreachable(hub: str) -> Exception | None:
    """What a first knock at the hub's door ran into. Its client would go on knocking for a minute and a half."""
    from huggingface_hub import get_session

    try:
        get_session().head(hub, timeout=TIMEOUT)
    except Exception as error:
        return error
    return None


def _plain(error: Exception) -> str:
    """An error's first line, with its kind, and without logins and signatures in addresses."""
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: " + re.sub(r"(?<=//)[^/@\s]*@|\?[^\s'\"]*", "", line)
