"""U-Net (Ronneberger et al. 2015) with an output for each class of the dataset, trained from seeded weights.

Its encoder may start from a ResNet-34 that was trained on ImageNet, in torchvision's or timm's files. It takes no
prompt, and as nothing is frozen, `encode` only resizes and normalizes.
"""

from pathlib import Path

import numpy as np
import torch

from promptseg.nn import class_outputs, unets, weights
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt


class Unet(Segmenter):
    """U-Net; takes no prompt."""

    NAME = "unet"
    PROMPTS = frozenset({"none"})
    TRAIN_DEFAULTS = {"trainable": ["all"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 4}
    TRAINABLE = {"all": ("network.",)}
    CACHED = False

    def __init__(self, architecture: dict, classes: int):
        super().__init__()
        self.architecture, self.transform = architecture, unets.image_transform(architecture)
        self.network = unets.build(architecture, 3, classes)

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.transform.to_input(images).to(self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return class_outputs.select(self.network(features["pixels"]), prompts)

    def configuration(self) -> dict:
        return {"model": self.NAME, "architecture": self.architecture}


def create(size: str, seed: int) -> Unet:
    torch.manual_seed(seed)
    return Unet(unets.SIZES[size], classes=1).eval()


def convert(source: Path) -> Unet:
    """The full network with the encoder of a ResNet-34, from a folder of the hub, a .safetensors or a .pth file."""
    path = weights.released(source)[1] if source.is_dir() else source
    torch.manual_seed(0)
    model = Unet(unets.SIZES["full"], classes=1)
    unets.load_encoder(model.network, weights.tensors(path), path)
    return model.eval()


def load(folder: Path, classes: int) -> Unet:
    """Load a checkpoint; a last layer for another number of classes gets new weights, seeded by that number."""
    config, tensors = weights.read(folder)
    torch.manual_seed(classes)
    model = Unet(config["architecture"], classes)
    class_outputs.load_tensors(model, tensors, folder, f"network.{unets.HEAD}")
    return model.eval()
