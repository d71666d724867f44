"""Bring a model's released weights into the project: built in, from the hub, or from a folder of the user's."""

import os
from pathlib import Path

from promptseg import models, params, weights
from promptseg.errors import Problem
from promptseg.segmenter import Segmenter

_WANTED = ["config.json", "preprocessor_config.json", "model.safetensors", "vocab.json", "merges.txt"]


def obtain(name: str, settings: params.Model, scale: params.Scale, seed: int, folder: Path) -> None:
    """Write `folder` with the model's weights in our own form, whole or not at all. Raises Problem."""
    model = models.load(name)
    source = settings.source or scale.checkpoints
    if source == "tiny":
        segmenter = model.create("tiny", seed)
    elif source != "official":
        segmenter = model.convert(_existing(name, source))
    elif settings.official:
        segmenter = model.convert(_from_hub(settings.official, settings.revision))
    else:
        segmenter = model.create("full", seed)
    _write(segmenter, folder)


def _write(segmenter: Segmenter, folder: Path) -> None:
    weights.write(folder, segmenter.configuration(), segmenter.state_dict(), segmenter.files())


def _existing(name: str, source: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        raise Problem(
            f"params.yaml: models.{name}.source: nothing at {source!r}; give a folder, a file, `tiny` or `official`"
        )
    return path


def _from_hub(repository: str, revision: str | None) -> Path:
    """A folder with the released files, fetched with Hugging Face's own client, its cache and its login."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=_WANTED,
                endpoint=os.environ.get("PROMPTSEG_MIRROR"),
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise Problem(
            f"{repository}: not to be had from the hub ({reason}); fetch its files by hand and give their folder as "
            "models.<name>.source"
        ) from None
