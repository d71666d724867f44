"""Frozen CLIP with a U-Net-like decoder, prompted by text: transposed convolutions, skips from several blocks.

After the study "zero-shot segmentation with CLIP", which gives no architecture. Ours has the skips of UNETR
(Hatamizadeh et al. 2022): the output of a block, all of one resolution, passes as many transposed convolutions as reach
the resolution of the decoder's step that it joins. The phrase's embedding scales and shifts the channels after every
step (FiLM, Perez et al. 2018), as CLIPSeg's does once.
"""

import torch
from torch import nn

from promptseg.nn.clip_decoder import GROUPS, ChannelNorm, ClipDecoder
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt


class Conditioned(nn.Module):
    """Convolution, group norm, FiLM by a phrase's embedding, ReLU: (m, c, h, w), (m, phrase) -> (m, width, h, w)."""

    def __init__(self, channels: int, width: int, phrase: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.GroupNorm(min(GROUPS, width), width)
        self.film = nn.Linear(phrase, 2 * width)

    def forward(self, x: torch.Tensor, phrase: torch.Tensor) -> torch.Tensor:
        scale, shift = self.film(phrase)[:, :, None, None].chunk(2, dim=1)
        return torch.relu(self.norm(self.conv(x)) * (1 + scale) + shift)


class Decoder(nn.Module):
    """From the last block up: each step doubles the sides, adds the skip of an earlier block, and is conditioned."""

    def __init__(self, tokens: int, phrase: int, width: int):
        super().__init__()
        widths = (width, width // 2, width // 4, width // 8)
        self.norms = nn.ModuleList(ChannelNorm(tokens) for _ in widths)
        self.bottom = Conditioned(tokens, width, phrase)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in zip(widths, widths[1:]))
        self.skips = nn.ModuleList(_skip(tokens, b, step) for step, b in enumerate(widths[1:], 1))
        self.steps = nn.ModuleList(Conditioned(2 * b, b, phrase) for b in widths[1:])
        self.answer = nn.Conv2d(widths[-1], 1, 1)  # logits; the name is that of stored tensors

    def forward(self, blocks: list[torch.Tensor], phrases: torch.Tensor) -> torch.Tensor:
        """Compute logits (n, p, 8 s, 8 s).

        Args:
            blocks: outputs of CLIP's blocks, each (n, tokens, s, s), the last block first.
            phrases: (n, p, phrase).
        """
        n, p = phrases.shape[:2]
        bottom, *earlier = [norm(block) for norm, block in zip(self.norms, blocks)]
        phrases = phrases.flatten(0, 1)
        x = self.bottom(bottom.repeat_interleave(p, dim=0), phrases)
        for up, skip, step, block in zip(self.ups, self.skips, self.steps, earlier):
            raised = skip(block).repeat_interleave(p, dim=0)  # does not depend on the phrase: once for all of them
            x = step(torch.cat([up(x), raised], dim=1), phrases)
        return self.answer(x).unflatten(0, (n, p))[:, :, 0]


class ClipDecoderUnet(ClipDecoder):
    """CLIP with a U-Net-like decoder; takes text."""

    NAME = "clip_decoder_unet"
    PROMPTS = frozenset({"text"})
    BLOCKS = (1, 2, 3, 4)

    @staticmethod
    def build(tokens: int, phrase: int, width: int, classes: int) -> nn.Module:
        return Decoder(tokens, phrase, width)

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        blocks = [features[f"quarter{quarter}"] for quarter in reversed(self.BLOCKS)]
        return self.decoder(blocks, self.embed_phrases(prompts))


def _skip(channels: int, width: int, doublings: int) -> nn.Module:
    """A skip connection: a block's tokens to `width` channels and 2 ** doublings times the sides."""
    layers = [nn.Conv2d(channels, width, 1)]
    for _ in range(doublings):
        layers += [nn.ConvTranspose2d(width, width, 2, stride=2), nn.GroupNorm(min(GROUPS, width), width), nn.ReLU()]
    return nn.Sequential(*layers)
