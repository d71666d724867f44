"""A convolutional autoencoder that learns to give pictures back, and then to segment with the same encoder.

After the study of segmentation models on the pets; it gives no architecture. Ours halves the sides four times and
doubles them as often, without skips, so that all must pass through the code. Two heads read the code: one of three
channels for the picture, one with an output for each class. The part `head` leaves the encoder as reconstruction left
it, `all` trains it on. With `train.pretrain` epochs, reconstruction comes first.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from promptseg.core.errors import UserError
from promptseg.nn import class_outputs, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

MEAN, STD = (127.5, 127.5, 127.5), (64.0, 64.0, 64.0)
SIZES = {"tiny": dict(widths=[16, 32, 48, 64], size=128), "full": dict(widths=[32, 64, 128, 256], size=256)}
GROUPS = 8


class Autoencoder(Segmenter):
    NAME = "autoencoder"
    PROMPTS = frozenset({"none"})
    PARTS = {"head": ("head.",), "all": ("encoder.", "head.")}
    PRETRAIN = ("encoder.", "picture.")
    CACHED = False

    def __init__(self, architecture: dict, classes: int):
        super().__init__()
        self.architecture, widths = architecture, architecture["widths"]
        self.frame = ImageTransform(architecture["size"], False, MEAN, STD)
        self.encoder = nn.Sequential(*(_block(nn.Conv2d, a, b) for a, b in zip([3, *widths], widths)))
        self.picture = _head(widths, 3)
        self.head = _head(widths, classes)

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.frame.pixels(images).to(self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return class_outputs.asked(self.head(self.encoder(features["pixels"])), prompts)

    def reconstruct(self, features: Features) -> torch.Tensor:
        """What comes back of the pictures: (n, 3, side, side), normalized pixels."""
        return self.picture(self.encoder(features["pixels"]))

    def pretext(self, features: Features) -> torch.Tensor:
        """Mean squared error of the normalized pixels, (n,)."""
        return (self.reconstruct(features) - features["pixels"]).square().mean((1, 2, 3))

    def configuration(self) -> dict:
        return {"model": self.NAME, "architecture": self.architecture}


def _block(conv: type[nn.Module], channels: int, width: int) -> nn.Module:
    """Half the sides with nn.Conv2d, twice the sides with nn.ConvTranspose2d; a kernel of 4 leaves no chequerboard."""
    return nn.Sequential(conv(channels, width, 4, stride=2, padding=1), nn.GroupNorm(GROUPS, width), nn.ReLU())


def _head(widths: list[int], outputs: int) -> nn.Module:
    """From the code back to full size: (n, widths[-1], s, s) -> (n, outputs, 16 s, 16 s)."""
    upward = [*reversed(widths), widths[0]]
    blocks = nn.Sequential(*(_block(nn.ConvTranspose2d, a, b) for a, b in zip(upward, upward[1:])))
    blocks.add_module("last", nn.Conv2d(widths[0], outputs, 1))
    return blocks


def create(size: str, seed: int) -> Autoencoder:
    torch.manual_seed(seed)
    return Autoencoder(SIZES[size], classes=1).eval()


def convert(source: Path) -> Autoencoder:
    raise UserError(f"{source}: autoencoder has no released weights; set models.autoencoder.source to tiny or null")


def load(folder: Path, classes: int) -> Autoencoder:
    """The stored network; its last layer is drawn anew where the number of classes is another."""
    config, tensors = weights.read(folder)
    torch.manual_seed(classes)
    model = Autoencoder(config["architecture"], classes)
    class_outputs.fill(model, tensors, folder, "head.last.")
    return model.eval()
