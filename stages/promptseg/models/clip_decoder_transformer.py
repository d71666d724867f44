"""Frozen CLIP with a transformer decoder, prompted by text: the phrase is the query, patch tokens are the memory.

After the study "zero-shot segmentation with CLIP", where it outperforms the convolutional decoder, and which gives no
architecture. Ours is MaskFormer's (Cheng et al. 2021) with the phrase's embedding in place of learned queries: the
patch tokens with sine positions are the memory of three decoder layers, and the mask is the product of the decoded
query with an embedding of each pixel, four times as fine as the patches.
"""

import torch
from torch import nn

from promptseg.nn.clip_decoder import GROUPS, ChannelNorm, ClipDecoder
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt

LAYERS, HEADS = 3, 4


class Decoder(nn.Module):
    """Transformer decoder with a phrase as query."""

    def __init__(self, tokens: int, phrase: int, width: int):
        super().__init__()
        self.norm = ChannelNorm(tokens)
        self.memory = nn.Conv2d(tokens, width, 1)
        self.query = nn.Linear(phrase, width)
        layer = nn.TransformerDecoderLayer(width, HEADS, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerDecoder(layer, LAYERS, norm=nn.LayerNorm(width))
        self.mask = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width // 2))
        self.places = nn.Sequential(  # embeddings of pixels; the name is that of stored tensors
            nn.ConvTranspose2d(width, width // 2, 2, stride=2),
            nn.GroupNorm(GROUPS, width // 2),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, width // 2, 2, stride=2),
        )
        for parameter in self.layers.parameters():  # TransformerDecoder initializes its layers as copies of one
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, p, 4 s, 4 s).

        Args:
            tokens: (n, tokens, s, s).
            phrases: (n, p, phrase).
        """
        memory = self.memory(self.norm(tokens))
        memory = memory + positions(memory.shape[1], memory.shape[2], memory.device)
        # Phrases do not attend to each other, so that a mask depends on its own phrase alone.
        other_phrases = ~torch.eye(phrases.shape[1], dtype=torch.bool, device=phrases.device)
        queries = self.layers(self.query(phrases), memory.flatten(2).mT, tgt_mask=other_phrases)
        pixels = self.places(memory)
        return torch.einsum("npc,nchw->nphw", self.mask(queries), pixels) / pixels.shape[1] ** 0.5


class ClipDecoderTransformer(ClipDecoder):
    """CLIP with a transformer decoder; takes text."""

    NAME = "clip_decoder_transformer"
    PROMPTS = frozenset({"text"})
    BLOCKS = (4,)

    @staticmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        return Decoder(tokens, phrase, width)

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return self.decoder(features["quarter4"], self.embed_phrases(prompts))


def positions(width: int, side: int, device: torch.device) -> torch.Tensor:
    """Sine and cosine of row and column, (width, side, side), a quarter of the channels each (Carion et al. 2020)."""
    quarter = width // 4
    wavelengths = 10000 ** (torch.arange(quarter, device=device) / quarter)
    angles = (torch.arange(side, device=device) + 0.5) / side * 2 * torch.pi / wavelengths[:, None]
    waves = torch.cat([angles.sin(), angles.cos()])
    rows, columns = waves[:, :, None].expand(-1, -1, side), waves[:, None, :].expand(-1, side, -1)
    return torch.cat([rows, columns])
