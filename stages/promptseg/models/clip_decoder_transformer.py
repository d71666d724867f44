"""Frozen CLIP under a transformer decoder that is asked in words: the phrase queries the patch tokens.

After the study "zero-shot segmentation with CLIP", where it beats the convolutional decoder; it gives no architecture.
Ours is MaskFormer's (Cheng et al. 2021), with the phrase in place of learned queries: the phrase's embedding is the
query, the patch tokens with sine positions are the memory of three decoder layers, and the mask is the product of what
the query becomes with an embedding of each place, four times as fine as the patches.
"""

from pathlib import Path

import torch
from torch import nn

from promptseg.nn import clip_decoder, weights
from promptseg.nn.clip_decoder import ChannelNorm, ClipDecoder
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt

RELEASED = weights.OLD
BACKBONE = "clip"
LAYERS, HEADS = 3, 4
GROUPS = 8


class Decoder(nn.Module):
    def __init__(self, tokens: int, phrase: int, width: int):
        super().__init__()
        self.norm = ChannelNorm(tokens)
        self.memory = nn.Conv2d(tokens, width, 1)
        self.query = nn.Linear(phrase, width)
        layer = nn.TransformerDecoderLayer(width, HEADS, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerDecoder(layer, LAYERS, norm=nn.LayerNorm(width))
        self.mask = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width // 2))
        self.places = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, stride=2),
            nn.GroupNorm(GROUPS, width // 2),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, width // 2, 2, stride=2),
        )
        for parameter in self.layers.parameters():  # the layers of a TransformerDecoder begin as copies of one
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
        """tokens: (n, tokens, s, s); phrases: (n, p, phrase) -> logits (n, p, 4 s, 4 s)."""
        memory = self.memory(self.norm(tokens))
        memory = memory + positions(memory.shape[1], memory.shape[2], memory.device)
        # Phrases share the memory but do not see each other: an answer is one phrase's own.
        apart = ~torch.eye(phrases.shape[1], dtype=torch.bool, device=phrases.device)
        found = self.layers(self.query(phrases), memory.flatten(2).mT, tgt_mask=apart)
        places = self.places(memory)
        return torch.einsum("npc,nchw->nphw", self.mask(found), places) / places.shape[1] ** 0.5


class ClipDecoderTransformer(ClipDecoder):
    NAME = "clip_decoder_transformer"
    PROMPTS = frozenset({"text"})
    BLOCKS = (4,)

    @staticmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        return Decoder(tokens, phrase, width)

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        phrases = torch.stack([torch.stack(self.phrases([prompt.text for prompt in row])) for row in prompts])
        return self.decoder(features["quarter4"], phrases)


def positions(width: int, side: int, device: torch.device) -> torch.Tensor:
    """(width, side, side): sines and cosines of row and column, a quarter of the channels each, as in DETR."""
    quarter = width // 4
    wavelengths = 10000 ** (torch.arange(quarter, device=device) / quarter)
    angles = (torch.arange(side, device=device) + 0.5) / side * 2 * torch.pi / wavelengths[:, None]
    waves = torch.cat([angles.sin(), angles.cos()])
    rows, columns = waves[:, :, None].expand(-1, -1, side), waves[:, None, :].expand(-1, side, -1)
    return torch.cat([rows, columns])


def create(size: str, seed: int) -> ClipDecoderTransformer:
    return clip_decoder.create(ClipDecoderTransformer, size, seed)


def convert(source: Path) -> ClipDecoderTransformer:
    return clip_decoder.convert(ClipDecoderTransformer, source)


def load(folder: Path, classes: int) -> ClipDecoderTransformer:
    return clip_decoder.load(ClipDecoderTransformer, folder, classes)
