"""The U-Net (Ronneberger et al. 2015) of segmentation-models-pytorch, with a ResNet encoder and group norm.

Group norm in place of batch norm makes a step depend on its pictures alone, not on how many share a batch or a process.
"""

from pathlib import Path

import segmentation_models_pytorch as smp
import torch

from promptseg.core.errors import UserError
from promptseg.nn.image_transform import ImageTransform

SIZES = {
    "tiny": dict(encoder="resnet18", depth=4, decoder_channels=[64, 48, 32, 16], size=128),
    "full": dict(encoder="resnet34", depth=5, decoder_channels=[256, 128, 64, 32, 16], size=256),
}
LAST = "segmentation_head."
GROUPS = 8


def frame(architecture: dict) -> ImageTransform:
    return ImageTransform(architecture["size"], False, (127.5, 127.5, 127.5), (64.0, 64.0, 64.0))


def network(architecture: dict, channels: int, outputs: int) -> torch.nn.Module:
    """(n, channels, size, size) -> (n, outputs, size, size); architecture: one of SIZES."""
    made = smp.Unet(
        architecture["encoder"],
        encoder_depth=architecture["depth"],
        encoder_weights=None,
        decoder_channels=architecture["decoder_channels"],
        in_channels=channels,
        classes=outputs,
    )
    made = _with_group_norm(made)
    if architecture["depth"] < 5 and getattr(made.encoder, "layer4", None) is not None:
        made.encoder.layer4 = torch.nn.Identity()  # never run at this depth, yet most of the parameters
    return made


def fill_encoder(network: torch.nn.Module, tensors: dict[str, torch.Tensor], where: Path) -> None:
    """Put a classifier's ResNet into the encoder. Its batch norms' scale and shift go to the group norms; its running
    means have no place there, so training has to settle it again. Raises UserError if it is another network.
    """
    state = network.encoder.state_dict()
    for name, tensor in state.items():
        if name not in tensors or tensors[name].shape != tensor.shape:
            given = tuple(tensors[name].shape) if name in tensors else "missing"
            raise UserError(f"{where}: {name} is {given} in place of {tuple(tensor.shape)}; a ResNet-34 is expected")
    network.encoder.load_state_dict({name: tensors[name] for name in state})


def _with_group_norm(module: torch.nn.Module) -> torch.nn.Module:
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, torch.nn.GroupNorm(GROUPS, child.num_features))
        else:
            _with_group_norm(child)
    return module
