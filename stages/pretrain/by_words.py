"""CLIP, and CLIPSeg on it, which learn from phrases and examples."""

import functools
from pathlib import Path

import contrast
import first_weights
import torch
import vocabulary
from pretraining import Lessons, half, writer
from promptseg.core.devices import Processes
from promptseg.models import clipseg as clipseg_model
from promptseg.models.clipseg import ClipSeg
from promptseg.nn import clip, weights
from promptseg.nn.segmenter import Segmenter
from settings import Told
from told import Groups
from transformers import CLIPConfig, CLIPSegConfig, CLIPSegForImageSegmentation
from worded import Decoding

_WIDTHS = dict(hidden_size=96, intermediate_size=192)
CLIP_SIZE = {
    "vision_config": clip.TINY["vision_config"] | _WIDTHS,
    "text_config": clip.TINY["text_config"] | _WIDTHS,
    "projection_dim": 96,
}
SEG_SIZE = clipseg_model.TINY | CLIP_SIZE | {"reduce_dim": 64}
CLIP = "network.clip."  # where CLIP is in CLIPSeg


def clip(asked: Told, seed: int, start: None, processes: Processes) -> Lessons:
    """From nothing, by contrast (contrast.py). It is written as the hub has it."""
    segmenter = _untrained().to(processes.device)
    learned = segmenter.learn((CLIP,))
    losses = functools.partial(contrast.losses, segmenter)
    write = functools.partial(_write_clip, segmenter)
    return Lessons(segmenter, _groups(segmenter, asked, seed, processes), learned, losses, write)


def clipseg(asked: Told, seed: int, start: Path, processes: Processes) -> Lessons:
    """A decoder on frozen CLIP (worded.py)."""
    segmenter = _untrained()
    first_weights.layers(segmenter.network.decoder)
    segmenter.network.clip.load_state_dict(weights.read(start)[1])
    segmenter.to(processes.device)
    learned = segmenter.set_trainable(asked.train.parts)
    losses = Decoding(segmenter, asked.train).losses
    return Lessons(segmenter, _groups(segmenter, asked, seed, processes), learned, losses, writer(segmenter))


def _groups(segmenter: Segmenter, asked: Told, seed: int, processes: Processes) -> list[Groups]:
    return [
        Groups(split, count, segmenter, asked, seed, processes)
        for split, count in (("train", asked.groups), ("val", asked.val))
    ]


def _untrained() -> ClipSeg:
    """With a tokenizer of its own, and the weights that transformers draws."""
    config = CLIPSegConfig(**SEG_SIZE | {"text_config": _text()})
    return ClipSeg(CLIPSegForImageSegmentation(config), vocabulary.files(), config.vision_config.image_size)


def _text() -> dict:
    """The text tower's configuration, with as many tokens as the vocabulary has."""
    count = vocabulary.size()
    ends = {"bos_token_id": count - 2, "eos_token_id": count - 1, "pad_token_id": count - 1}
    return CLIP_SIZE["text_config"] | {"vocab_size": count} | ends


def _write_clip(segmenter: ClipSeg, folder: Path, learned: dict[str, torch.Tensor]) -> None:
    tensors = {name: value for name, value in {**segmenter.state_dict(), **learned}.items() if name.startswith(CLIP)}
    config = CLIPConfig(**CLIP_SIZE | {"text_config": _text()}).to_dict()
    config.pop("transformers_version", None)
    weights.write(folder, config, half(weights.without(tensors, CLIP)), segmenter.files())


TRAINED = {"clip": clip, "clipseg": clipseg}
