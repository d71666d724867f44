"""Frozen CLIP (Radford et al. 2021) with a trainable decoder: what the models clip_decoder_* share.

An image becomes 22 x 22 patches (352 pixels a side for patches of 16) with interpolated positions, as in CLIPSeg, so
the models differ from it by their decoders alone. Each model's own file says which blocks of the vision encoder the
decoder reads; its initial weights are seeded.
"""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn
from transformers import CLIPModel

from promptseg.nn import class_outputs, clip, precision, pretrained, text_encoder, weights
from promptseg.nn.image_transform import CLIP_MEAN, CLIP_STD, ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

SIZES = {"full": dict(patches=22, width=128), "tiny": dict(patches=16, width=32)}  # width: of the decoder
GROUPS = 8  # of group norms, at most


class ClipDecoder(Segmenter):
    """Frozen CLIP with a decoder.

    Args:
        network: CLIP.
        tokenizer: contents of its tokenizer's files by name.
        patches: a side, of the input.
        width: of the decoder, channels.
        classes: number of outputs, where the decoder has one for each class.

    Attributes:
        BLOCKS: blocks whose outputs the decoder reads, in quarters of the vision encoder's depth: 4 is the last one.
        LAST: prefix of the layer that has an output for each class; None where there is no such layer.
    """

    OFFICIAL, RELEASED = clip.OFFICIAL, weights.PICKLED_TENSORS
    BACKBONE = "clip"
    TRAINABLE = {"decoder": ("decoder.",)}
    TRAIN_DEFAULTS = {"trainable": ["decoder"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 8}
    ENCODER = ("network.vision_model.",)
    BLOCKS: ClassVar[tuple[int, ...]]
    LAST: ClassVar[str | None] = None

    def __init__(self, network: CLIPModel, tokenizer: dict[str, bytes], patches: int, width: int, classes: int):
        super().__init__()
        vision = network.config.vision_config
        self.network, self.patches, self.width = network, patches, width
        self.transform = ImageTransform(patches * vision.patch_size, False, CLIP_MEAN, CLIP_STD)
        self.phrases = clip.phrase_embeddings(network, tokenizer)
        self.decoder = self.build(vision.hidden_size, network.config.projection_dim, width, classes)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        network, tokenizer = clip.create(cls.NAME, size, seed)
        return cls(network, tokenizer, **SIZES[size], classes=1).eval()

    @classmethod
    def convert(cls, source: Path, size: Literal["full", "tiny"] = "full") -> Self:
        """From CLIP in the layout of the hub, with a decoder of this size whose initial weights are always the same."""
        network, tokenizer = clip.convert(source)
        torch.manual_seed(0)
        return cls(network, tokenizer, **SIZES[size], classes=1).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        network = pretrained.load(CLIPModel, config, tensors, folder)
        torch.manual_seed(classes)
        model = cls(network, text_encoder.read(folder), config["patches"], config["width"], classes)
        class_outputs.load_tensors(model, tensors, folder, model.LAST)
        return precision.stored(model, config).eval()

    @staticmethod
    @abstractmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        """Build the decoder.

        Args:
            tokens: width of CLIP's patch tokens.
            phrase: width of its text embeddings.
            width: of the decoder.
            classes: number of outputs, where the decoder has one for each class.
        """

    def encode(self, images: list[np.ndarray]) -> Features:
        """Compute the patch tokens of the blocks: `quarter1`, ..., each (n, width, patches, patches)."""
        with self.encoder_context():
            pixels = self.transform.to_input(images).to(self.device)
            out = self.network.vision_model(pixels, interpolate_pos_encoding=True, output_hidden_states=True)
            depth = len(out.hidden_states) - 1  # the first is the input of block 1
            # Without the class token, which comes first.
            blocks = {quarter: out.hidden_states[depth * quarter // 4][:, 1:].float() for quarter in self.BLOCKS}
            grid = (self.patches, self.patches)
            return {f"quarter{quarter}": tokens.mT.unflatten(2, grid) for quarter, tokens in blocks.items()}

    def embed_phrases(self, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Text embeddings of the prompts' phrases, (n, p, width)."""
        rows = [self.phrases([prompt.get("text").phrase for prompt in row]) for row in prompts]
        return torch.stack([torch.stack(row) for row in rows])

    def configuration(self) -> dict:
        network = pretrained.configuration(self.network)
        return {"model": self.NAME, "network": network, "patches": self.patches, "width": self.width}

    def files(self) -> dict[str, bytes]:
        return self.phrases.files


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (n, c, h, w); CLIP's tokens differ in scale by block and by channel."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return super().forward(tokens.movedim(1, -1)).movedim(-1, 1)
