"""U-Net (Ronneberger et al. 2015) with an output for each class of the dataset, trained from seeded weights.

Its encoder may start from a ResNet-34 that was trained on ImageNet, in torchvision's or timm's files. It takes no
prompt.
"""

from pathlib import Path
from typing import Self

import torch

from promptseg.nn import class_outputs, unets, weights
from promptseg.nn.scratch import ScratchSegmenter
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt


class Unet(ScratchSegmenter):
    """U-Net; takes no prompt."""

    NAME = "unet"
    PROMPTS = frozenset({"none"})
    TRAIN_DEFAULTS = {"trainable": ["all"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 4}
    TRAINABLE = {"all": ("network.",)}
    SIZES, LAST = unets.SIZES, f"network.{unets.HEAD}"

    def __init__(self, architecture: dict, classes: int = 1):
        super().__init__(architecture)
        self.network = unets.build(architecture, 3, classes)

    @classmethod
    def convert(cls, source: Path) -> Self:
        """The full network with the encoder of a ResNet-34, from a folder of the hub, a .safetensors or a .pth file."""
        path = weights.released(source)[1] if source.is_dir() else source
        model = cls.create("full", 0)
        unets.load_encoder(model.network, weights.tensors(path), path)
        return model

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        return class_outputs.select(self.network(features["pixels"]), prompts)
