"""A convolutional autoencoder: trained to reconstruct images, then to segment with the same encoder.

After the study of segmentation models on Oxford-IIIT Pet, which gives no architecture. Ours halves the sides four times
and doubles them as often, without skip connections, so that all information passes through the code. Two heads read the
code: one reconstructs the image, one has an output for each class. Trainable `head` leaves the encoder as
reconstruction trained it, `all` fine-tunes it. Reconstruction comes first, for `train.pretext_epochs` epochs.
"""

import torch
from torch import nn

from promptseg.nn import class_outputs
from promptseg.nn.scratch import ScratchSegmenter
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt

SIZES = {"tiny": dict(widths=[16, 32, 48, 64], size=128), "full": dict(widths=[32, 64, 128, 256], size=256)}
GROUPS = 8


class Autoencoder(ScratchSegmenter):
    """An autoencoder with a head for each class; the module says how it is trained."""

    NAME = "autoencoder"
    PROMPTS = frozenset({"none"})
    TRAIN_DEFAULTS = {"trainable": ["head"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 8}
    TRAINABLE = {"head": ("head.",), "all": ("encoder.", "head.")}
    PRETEXT = ("encoder.", "picture.")
    SIZES, LAST = SIZES, "head.last."

    def __init__(self, architecture: dict, classes: int = 1):
        super().__init__(architecture)
        widths = architecture["widths"]
        self.encoder = nn.Sequential(*(_block(nn.Conv2d, a, b) for a, b in zip([3, *widths], widths)))
        self.picture = _head(widths, 3)  # reconstructs the image; the name is that of stored tensors
        self.head = _head(widths, classes)

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return class_outputs.select(self.head(self.encoder(features["pixels"])), prompts)

    def reconstruct(self, features: Features) -> torch.Tensor:
        """Reconstruct the images, (n, 3, side, side) normalized pixels."""
        return self.picture(self.encoder(features["pixels"]))

    def pretext_loss(self, features: Features) -> torch.Tensor:
        """Mean squared error of the normalized pixels, (n,)."""
        return (self.reconstruct(features) - features["pixels"]).square().mean((1, 2, 3))


def _block(conv: type[nn.Module], channels: int, width: int) -> nn.Module:
    """Halve the sides (nn.Conv2d) or double them (nn.ConvTranspose2d); a kernel of 4 makes no checkerboard pattern."""
    return nn.Sequential(conv(channels, width, 4, stride=2, padding=1), nn.GroupNorm(GROUPS, width), nn.ReLU())


def _head(widths: list[int], outputs: int) -> nn.Module:
    """Decoder from the code to full size: (n, widths[-1], s, s) -> (n, outputs, 16 s, 16 s)."""
    upward = [*reversed(widths), widths[0]]
    blocks = nn.Sequential(*(_block(nn.ConvTranspose2d, a, b) for a, b in zip(upward, upward[1:])))
    blocks.add_module("last", nn.Conv2d(widths[0], outputs, 1))
    return blocks
