"""What a fine-tuned run keeps: the tensors that learned, and which checkpoint they belong to."""

import hashlib
from pathlib import Path

import torch

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.nn import lora, precision, weights
from promptseg.nn.segmenter import Segmenter


def write(folder: Path, learned: dict[str, torch.Tensor], name: str, checkpoint: str, about: dict) -> None:
    """Keep the parameters that learned; the frozen rest stays in the checkpoint, whose digest is written down.

    name: of the model; about: further entries for config.json; `lora` must be there where adapters learned
    (params.Lora as JSON).
    """
    config = {"model": name, "checkpoint": checkpoint, "learned": sorted(learned), **about}
    weights.write(folder, config, learned)


def apply(segmenter: Segmenter, checkpoint: str, folder: Path) -> str:
    """Put what a run learned into a model loaded from the same checkpoint; adapters are added into their layers,
    and an encoder that learned computes in fp32, as it did then.

    The digest of the weights that `encode` uses from now on: the checkpoint's, unless the encoder learned.
    Raises UserError if it does not fit.
    """
    config, tensors = weights.read(folder)
    if config["checkpoint"] != checkpoint:
        raise UserError(f"{folder}: trained from another checkpoint than this one; run `dvc repro` to train it again")
    if sorted(tensors) != config.get("learned"):
        raise UserError(f"{folder}: not all of the tensors that were learned; delete it and run `dvc repro`")
    encodes = any(name.startswith(segmenter.ENCODER) for name in tensors)
    if encodes:
        precision.apply(segmenter, "fp32")
    adapters = None
    if "lora" in config:
        adapters = lora.attach(segmenter, segmenter.LORA_TARGETS, params.Lora(**config["lora"]))
    try:
        segmenter.load_state_dict({**segmenter.state_dict(), **tensors})
    except RuntimeError as error:  # unknown names, other shapes
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder}: does not fit {segmenter.NAME} ({reason}); delete it and run `dvc repro`") from error
    if adapters:
        adapters.merge_and_unload()
    segmenter.trained()
    if not encodes:
        return checkpoint
    return hashlib.sha256(f"{checkpoint} {weights.digest(folder)}".encode()).hexdigest()
