"""Setups of CLIP, and of CLIPSeg on it, which are trained with phrases and support images."""

import functools
from pathlib import Path

import contrastive_loss
import initial_weights
import torch
import vocabulary
from decoder_loss import DecoderLoss
from phrase_groups import PhraseGroupSplit
from pretraining import Setup, checkpoint_writer, complete, half_precision
from promptseg.core.devices import Processes
from promptseg.models import clipseg
from promptseg.models.clipseg import ClipSeg
from promptseg.nn import clip, weights
from settings import ClipTraining
from transformers import CLIPConfig, CLIPSegConfig, CLIPSegForImageSegmentation

_WIDTHS = dict(hidden_size=96, intermediate_size=192)
CLIP_NETWORK = {
    "vision_config": clip.TINY["vision_config"] | _WIDTHS,
    "text_config": clip.TINY["text_config"] | _WIDTHS,
    "projection_dim": 96,
}
CLIPSEG_NETWORK = clipseg.TINY | CLIP_NETWORK | {"reduce_dim": 64}
CLIP_PREFIX = "network.clip."  # of CLIP's parameters in CLIPSeg


def build_clip(config: ClipTraining, seed: int, start: None, processes: Processes) -> Setup:
    """Set up CLIP with its contrastive loss, from random weights; the checkpoint is in the layout of the hub."""
    segmenter = _create().to(processes.device)
    trainable = segmenter.set_trainable_prefixes((CLIP_PREFIX,))
    losses = functools.partial(contrastive_loss.losses, segmenter)
    write = functools.partial(_write_clip, segmenter)
    train = complete(config.train, segmenter)
    return Setup(segmenter, train, _splits(segmenter, config, seed), trainable, losses, write)


def build_clipseg(config: ClipTraining, seed: int, start: Path, processes: Processes) -> Setup:
    """Set up CLIPSeg, a decoder on frozen CLIP."""
    segmenter = _create()
    initial_weights.initialize_layers(segmenter.network.decoder)
    segmenter.network.clip.load_state_dict(weights.read(start)[1])
    segmenter.to(processes.device)
    train = complete(config.train, segmenter)
    trainable = segmenter.set_trainable(train.trainable)
    losses = DecoderLoss(segmenter, train).losses
    splits = _splits(segmenter, config, seed)
    return Setup(segmenter, train, splits, trainable, losses, checkpoint_writer(segmenter))


def _splits(segmenter: ClipSeg, config: ClipTraining, seed: int) -> list[PhraseGroupSplit]:
    return [
        PhraseGroupSplit(split, count, segmenter, config, seed)
        for split, count in (("train", config.groups), ("val", config.val_groups))
    ]


def _create() -> ClipSeg:
    """CLIPSeg with the tokenizer of the synthetic phrases, and the random weights of transformers."""
    config = CLIPSegConfig(**CLIPSEG_NETWORK | {"text_config": _text_config()})
    return ClipSeg(CLIPSegForImageSegmentation(config), vocabulary.files(), config.vision_config.image_size)


def _text_config() -> dict:
    """Configuration of the text encoder, with the size of the vocabulary."""
    size = vocabulary.size()
    special = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    return CLIP_NETWORK["text_config"] | {"vocab_size": size} | special


def _write_clip(segmenter: ClipSeg, folder: Path, trained: dict[str, torch.Tensor]) -> None:
    state = {**segmenter.state_dict(), **trained}
    tensors = {name: value for name, value in state.items() if name.startswith(CLIP_PREFIX)}
    config = CLIPConfig(**CLIP_NETWORK | {"text_config": _text_config()}).to_dict()
    config.pop("transformers_version", None)
    weights.write(folder, config, half_precision(weights.without_prefix(tensors, CLIP_PREFIX)), segmenter.files())


BUILDERS = {"clip": build_clip, "clipseg": build_clipseg}
