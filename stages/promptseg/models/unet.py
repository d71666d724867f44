"""U-Net (Ronneberger et al. 2015) from segmentation-models-pytorch, with a ResNet encoder and group norm.

Nothing is frozen and nothing is asked: `encode` only scales the pixels. Group norm in place of batch norm makes a
step depend on its pictures alone, not on how many share a batch or a process.
"""

from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch

from promptseg import weights
from promptseg.errors import Problem
from promptseg.frame import Frame
from promptseg.prompts import Prompt
from promptseg.segmenter import Features, Segmenter

MEAN, STD = (127.5, 127.5, 127.5), (64.0, 64.0, 64.0)
SIZES = {
    "tiny": dict(encoder="resnet18", depth=4, decoder_channels=[64, 48, 32, 16], size=128),
    "full": dict(encoder="resnet34", depth=5, decoder_channels=[256, 128, 64, 32, 16], size=256),
}
GROUPS = 8


class Unet(Segmenter):
    NAME = "unet"
    PROMPTS = frozenset({"none"})
    PARTS = {"all": ("network.",)}
    CACHED = False

    def __init__(self, architecture: dict, classes: int):
        super().__init__()
        self.architecture = architecture
        self.frame = Frame(architecture["size"], False, MEAN, STD)
        network = smp.Unet(
            architecture["encoder"],
            encoder_depth=architecture["depth"],
            encoder_weights=None,
            decoder_channels=architecture["decoder_channels"],
            classes=classes,
        )
        self.network = _with_group_norm(network)
        unused = getattr(self.network.encoder, "layer4", None)
        if architecture["depth"] < 5 and unused is not None:
            self.network.encoder.layer4 = torch.nn.Identity()  # never run at this depth, yet most of the parameters

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.frame.pixels(images).to(self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        logits = self.network(features["pixels"])
        targets = torch.tensor([[prompt.target - 1 for prompt in row] for row in prompts], device=logits.device)
        return logits.take_along_dim(targets[:, :, None, None], dim=1)

    def configuration(self) -> dict:
        return {"model": self.NAME, "architecture": self.architecture}


def create(size: str, seed: int) -> Unet:
    torch.manual_seed(seed)
    return Unet(SIZES[size], classes=1).eval()


def convert(source: Path) -> Unet:
    raise Problem(f"{source}: unet has no released weights; set models.unet.source to tiny or leave it out")


def load(folder: Path, classes: int) -> Unet:
    """The stored network; its last layer is drawn anew where the number of classes is another."""
    config, tensors = weights.read(folder)
    torch.manual_seed(classes)
    model = Unet(config["architecture"], classes)
    fitting = {name: t for name, t in tensors.items() if t.shape == model.state_dict()[name].shape}
    left_out = sorted(tensors.keys() - fitting.keys())
    if any(not name.startswith("network.segmentation_head.") for name in left_out):
        raise Problem(f"{folder}: its tensors do not fit its config.json ({left_out[0]})")
    model.load_state_dict({**model.state_dict(), **fitting})
    return model.eval()


def _with_group_norm(module: torch.nn.Module) -> torch.nn.Module:
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, torch.nn.GroupNorm(GROUPS, child.num_features))
        else:
            _with_group_norm(child)
    return module
