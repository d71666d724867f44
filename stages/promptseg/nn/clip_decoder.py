"""Frozen CLIP (Radford et al. 2021) under a decoder that learns: what the models clip_decoder_* have in common.

CLIP is transformers' CLIPModel, released as openai/clip-vit-base-patch16. A picture is laid on 22 x 22 patches, 352
pixels for patches of 16, with interpolated positions, as in CLIPSeg: so the two differ by their decoders alone. Which
blocks of the vision tower are kept, and what the decoder is, each model's own file says; its weights are seeded.
"""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from transformers import CLIPModel

from promptseg.nn import class_outputs, clip, precision, text_encoder, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter

MEAN, STD = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)  # CLIP's, times 255
PATCHES, TINY_PATCHES = 22, 16
WIDTH, TINY_WIDTH = 128, 32  # of the decoders
LEAST = 256  # the width of a released CLIP's embeddings, at least; one that is narrower is a tiny one


class ClipDecoder(Segmenter):
    """BLOCKS: which blocks' outputs the decoder is given, as quarters of the vision tower: 4 is its last block.

    LAST: the beginning of the names of the layer that has an output for each class, None where there is no such layer.
    """

    PARTS = {"decoder": ("decoder.",)}
    ENCODER = ("network.vision_model.",)
    BLOCKS: ClassVar[tuple[int, ...]]
    LAST: ClassVar[str | None] = None

    def __init__(self, network: CLIPModel, tokenizer: dict[str, bytes], patches: int, width: int, classes: int):
        super().__init__()
        vision = network.config.vision_config
        self.network, self.patches, self.width = network, patches, width
        self.frame = ImageTransform(patches * vision.patch_size, False, MEAN, STD)
        self.phrases = clip.phrases_of(network, tokenizer)
        self.decoder = self.build(vision.hidden_size, network.config.projection_dim, width, classes)

    @staticmethod
    @abstractmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        """The decoder; tokens, phrase: widths of CLIP's patch tokens and of its text embeddings; width: its own."""

    @torch.no_grad()
    def encode(self, images: list[np.ndarray]) -> Features:
        """`quarter1`, ...: (n, width, patches, patches), a block's patch tokens, in place and without the class's."""
        pixels = self.frame.pixels(images).to(self.device)
        out = self.network.vision_model(pixels, interpolate_pos_encoding=True, output_hidden_states=True)
        depth = len(out.hidden_states) - 1  # the first is what enters block 1
        kept = {f"quarter{quarter}": out.hidden_states[depth * quarter // 4][:, 1:] for quarter in self.BLOCKS}
        return {name: tokens.mT.unflatten(2, (self.patches, self.patches)) for name, tokens in kept.items()}

    def configuration(self) -> dict:
        network = clip.configuration(self.network)
        return {"model": self.NAME, "network": network, "patches": self.patches, "width": self.width}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (n, c, h, w); CLIP's tokens differ in scale by block and by channel."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return super().forward(tokens.movedim(1, -1)).movedim(-1, 1)


def create(kind: type[ClipDecoder], size: str, seed: int) -> ClipDecoder:
    network, tokenizer = clip.create(kind.NAME, size, seed)
    return kind(network, tokenizer, TINY_PATCHES, TINY_WIDTH, classes=1).eval()


def convert(kind: type[ClipDecoder], source: Path) -> ClipDecoder:
    """CLIP from the hub's files, under a decoder that is the same each time."""
    network, tokenizer = clip.convert(source)
    torch.manual_seed(0)
    size = (TINY_PATCHES, TINY_WIDTH) if network.config.projection_dim < LEAST else (PATCHES, WIDTH)
    return kind(network, tokenizer, *size, classes=1).eval()


def load(kind: type[ClipDecoder], folder: Path, classes: int) -> ClipDecoder:
    """The stored model; a last layer for classes is drawn anew where their number is another."""
    config, tensors = weights.read(folder)
    network = clip.load(config["network"], tensors, folder)
    torch.manual_seed(classes)
    model = kind(network, text_encoder.read(folder), config["patches"], config["width"], classes)
    class_outputs.fill(model, tensors, folder, model.LAST)
    return precision.stored(model, config).eval()
