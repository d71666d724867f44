"""Layers that compute the same in another way, in networks whose names, classes and state dict are a checkpoint's."""

from collections.abc import Callable, Mapping
from types import MethodType

from torch import nn

# by class of a layer: a function of the layer and of what its forward takes
Forwards = Mapping[type[nn.Module], Callable]


def override_forward(network: nn.Module, forwards: Forwards) -> None:
    """Compute layers of a network by other functions; its parameters stay as they are.

    A layer's forward is overridden on the instance, as torch documents for modules.

    Args:
        network: itself such a layer, or with some inside.
        forwards: for layers of exactly these classes.
    """
    for module in network.modules():
        if type(module) in forwards:
            module.forward = MethodType(forwards[type(module)], module)
