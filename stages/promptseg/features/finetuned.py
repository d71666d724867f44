"""What a fine-tuned run keeps: the tensors that learned, and which checkpoint they belong to."""

from pathlib import Path

from promptseg.base.errors import Problem
from promptseg.networks import weights
from promptseg.networks.segmenter import Segmenter


def write(folder: Path, segmenter: Segmenter, learned: list[str], checkpoint: str, about: dict) -> None:
    """Keep the parameters named `learned`; the frozen rest stays in the checkpoint, whose digest is written down."""
    state = segmenter.state_dict()
    config = {"model": segmenter.NAME, "checkpoint": checkpoint, "learned": sorted(learned), **about}
    weights.write(folder, config, {name: state[name] for name in learned})


def apply(segmenter: Segmenter, checkpoint: str, folder: Path) -> None:
    """Put what a run learned into a model loaded from the same checkpoint. Raises Problem if it does not fit."""
    config, tensors = weights.read(folder)
    if config["checkpoint"] != checkpoint:
        raise Problem(f"{folder}: trained from another checkpoint than this one; run `dvc repro` to train it again")
    if sorted(tensors) != config.get("learned"):
        raise Problem(f"{folder}: not all of the tensors that were learned; delete it and run `dvc repro`")
    try:
        segmenter.load_state_dict({**segmenter.state_dict(), **tensors})
    except RuntimeError as error:  # unknown names, other shapes
        reason = str(error).splitlines()[-1].strip()
        raise Problem(f"{folder}: does not fit {segmenter.NAME} ({reason}); delete it and run `dvc repro`") from error
    segmenter.trained()
