"""U-Net (Ronneberger et al. 2015) with an output for each class of the dataset, trained from seeded weights.

Nothing is frozen and nothing is asked: `encode` only scales the pixels.
"""

from pathlib import Path

import numpy as np
import torch

from promptseg.base.errors import Problem
from promptseg.decoders import fixed_classes, unets
from promptseg.networks import weights
from promptseg.networks.prompts import Prompt
from promptseg.networks.segmenter import Features, Segmenter


class Unet(Segmenter):
    NAME = "unet"
    PROMPTS = frozenset({"none"})
    PARTS = {"all": ("network.",)}
    CACHED = False

    def __init__(self, architecture: dict, classes: int):
        super().__init__()
        self.architecture, self.frame = architecture, unets.frame(architecture)
        self.network = unets.network(architecture, 3, classes)

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.frame.pixels(images).to(self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return fixed_classes.asked(self.network(features["pixels"]), prompts)

    def configuration(self) -> dict:
        return {"model": self.NAME, "architecture": self.architecture}


def create(size: str, seed: int) -> Unet:
    torch.manual_seed(seed)
    return Unet(unets.SIZES[size], classes=1).eval()


def convert(source: Path) -> Unet:
    raise Problem(f"{source}: unet has no released weights; set models.unet.source to tiny or leave it out")


def load(folder: Path, classes: int) -> Unet:
    """The stored network; its last layer is drawn anew where the number of classes is another."""
    config, tensors = weights.read(folder)
    torch.manual_seed(classes)
    model = Unet(config["architecture"], classes)
    fixed_classes.fill(model, tensors, folder, f"network.{unets.LAST}")
    return model.eval()
