"""U-Net (Ronneberger et al. 2015) of segmentation-models-pytorch, with a ResNet encoder and group norm.

With group norm in place of batch norm, a training step does not depend on how many images share a batch or a process.
"""

from pathlib import Path

import segmentation_models_pytorch as smp
import torch

from promptseg.core.errors import UserError

SIZES = {
    "tiny": dict(encoder="resnet18", depth=4, decoder_channels=[64, 48, 32, 16], size=128),
    "full": dict(encoder="resnet34", depth=5, decoder_channels=[256, 128, 64, 32, 16], size=256),
}
HEAD = "segmentation_head."  # prefix of the last layer's names
GROUPS = 8


def build(architecture: dict, channels: int, outputs: int) -> torch.nn.Module:
    """Build a network (n, channels, size, size) -> (n, outputs, size, size). architecture: one of SIZES."""
    unet = smp.Unet(
        architecture["encoder"],
        encoder_depth=architecture["depth"],
        encoder_weights=None,
        decoder_channels=architecture["decoder_channels"],
        in_channels=channels,
        classes=outputs,
    )
    unet = _with_group_norm(unet)
    if architecture["depth"] < 5 and getattr(unet.encoder, "layer4", None) is not None:
        unet.encoder.layer4 = torch.nn.Identity()  # never run at this depth, yet most of the parameters
    return unet


def load_encoder(network: torch.nn.Module, tensors: dict[str, torch.Tensor], where: Path) -> None:
    """Load a classifier's ResNet into the encoder.

    Scale and shift of its batch norms go to the group norms; running means have no counterpart, so the encoder needs
    training.

    Args:
        network: of `build`.
        tensors: of the ResNet, under torchvision's names.
        where: the file, for messages.

    Raises:
        UserError: it is another network.
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
