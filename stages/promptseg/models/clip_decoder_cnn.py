"""Frozen CLIP with a convolutional decoder that has an output for each class and takes no prompt.

After the study "CLIP image encoder + CNN decoder" on Oxford-IIIT Pet, which gives no architecture. Ours: the last
block's patch tokens, then three times bilinear upsampling by 2 and a 3 x 3 convolution, so that a patch becomes 8 x 8
logits.
"""

import torch
from torch import nn

from promptseg.nn import class_outputs
from promptseg.nn.clip_decoder import GROUPS, ChannelNorm, ClipDecoder
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt


class ClipDecoderCnn(ClipDecoder):
    """CLIP with a convolutional decoder; takes no prompt."""

    NAME = "clip_decoder_cnn"
    PROMPTS = frozenset({"none"})
    BLOCKS = (4,)
    LAST = "decoder.classify."

    @staticmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        layers = nn.Sequential()
        layers.add_module("norm", ChannelNorm(tokens))
        layers.add_module("project", nn.Conv2d(tokens, width, 1))
        for step, narrower in enumerate((1, 2, 4), 1):
            before, after = width // max(1, narrower // 2), width // narrower
            layers.add_module(f"up{step}", nn.Upsample(scale_factor=2, mode="bilinear"))
            layers.add_module(f"conv{step}", nn.Conv2d(before, after, 3, padding=1))
            layers.add_module(f"norm{step}", nn.GroupNorm(min(GROUPS, after), after))
            layers.add_module(f"relu{step}", nn.ReLU())
        layers.add_module("classify", nn.Conv2d(width // 4, classes, 1))
        return layers

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return class_outputs.select(self.decoder(features["quarter4"]), prompts)
