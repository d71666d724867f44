"""Weights of a fine-tuned run: the trained tensors, and the checkpoint that they belong to."""

import hashlib
import json
from pathlib import Path

import torch

from promptseg.core.errors import UserError, of_system
from promptseg.core.train_config import Lora
from promptseg.nn import lora, precision, weights
from promptseg.nn.segmenter import Segmenter


def write(folder: Path, parameters: dict[str, torch.Tensor], name: str, checkpoint: str, metadata: dict) -> None:
    """Write the trained parameters; the frozen ones stay in the checkpoint.

    Args:
        folder: to write, as `nn.weights` does.
        parameters: the trained ones, by name.
        name: of the model.
        checkpoint: digest of the released weights.
        metadata: further entries of config.json; `lora` (Lora as JSON) where adapters were trained, `threshold` where
            one was chosen on the validation split, `images`: how many it was trained on.
    """
    config = {"model": name, "checkpoint": checkpoint, "trained_parameters": sorted(parameters), **metadata}
    weights.write(folder, config, parameters)


def metadata(folder: Path) -> dict:
    """Read config.json of a run's weights. Raises UserError if the weights are missing or changed."""
    weights.check(folder)
    return json.loads((folder / weights.CONFIG).read_text())


def apply(segmenter: Segmenter, checkpoint: str, folder: Path) -> str:
    """Load the weights of a run into a model loaded from the same checkpoint.

    Adapters are merged into their layers, and an encoder that was trained computes in fp32, as it did then.

    Args:
        segmenter: the model.
        checkpoint: digest of its weights.
        folder: of the run's weights.

    Returns:
        Digest of the weights that `encode` uses from now on: the checkpoint's, unless the encoder was trained.

    Raises:
        UserError: the weights are missing, damaged, of another checkpoint, or do not fit the model.
    """
    config, tensors = weights.read(folder)
    if config["checkpoint"] != checkpoint:
        raise UserError(f"{folder}: trained from another checkpoint than this one; run `dvc repro` to train it again")
    if sorted(tensors) != config.get("trained_parameters"):
        raise UserError(f"{folder}: some of the trained tensors are missing; delete it and run `dvc repro`")
    encoder_trained = any(name.startswith(segmenter.ENCODER) for name in tensors)
    if encoder_trained:
        precision.apply(segmenter, "fp32")
    adapters = None
    if "lora" in config:
        adapters = lora.attach(segmenter, segmenter.LORA_TARGETS, Lora(**config["lora"]))
    try:
        segmenter.load_state_dict({**segmenter.state_dict(), **tensors})
    except RuntimeError as error:  # unknown names, other shapes
        reason = str(error).splitlines()[-1].strip()
        unfit = UserError(f"{folder}: does not fit {segmenter.NAME} ({reason}); delete it and run `dvc repro`")
        raise of_system(error, folder) or unfit from error
    if adapters:
        adapters.merge_and_unload()
    segmenter.prepare_finetuned()
    if not encoder_trained:
        return checkpoint
    return hashlib.sha256(f"{checkpoint} {weights.digest(folder)}".encode()).hexdigest()
