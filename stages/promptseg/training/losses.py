"""Losses by name, one value a mask.

Each takes logits (m, h, w), targets (m, h, w) in [0, 1] and weights (m, h, w), 0 for ignored pixels and else 1, and
returns (m,). A new loss is a function with a line `@LOSSES.register("its name")`; nothing else lists them.
"""

import torch
import torch.nn.functional as F

from promptseg.nn.segmenter import Loss
from promptseg.training.registry import Registry

LOSSES = Registry("train.loss")


def get(name: str) -> Loss:
    """The loss of that name. Raises UserError, listing the known names."""
    return LOSSES.find(name)


@LOSSES.register("dice")
def dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Dice loss, 1 - (2 yp + 1) / (y + p + 1) with each term summed over the mask, as the study has it."""
    p = torch.sigmoid(logits) * weight
    y = target * weight
    overlap = (torch.sigmoid(logits) * y).sum((1, 2))
    return 1 - (2 * overlap + 1) / (y.sum((1, 2)) + p.sum((1, 2)) + 1)


@LOSSES.register("bce")
def bce(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over the pixels that are not ignored."""
    return _mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight)


@LOSSES.register("dice_bce")
def dice_bce(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Dice + binary cross-entropy, unweighted, as MedSAM is trained (Ma et al. 2024)."""
    return dice(logits, target, weight) + bce(logits, target, weight)


@LOSSES.register("focal")
def focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Focal loss (Lin et al. 2017) with gamma 2 and alpha 0.25, mean over the pixels that are not ignored."""
    p = torch.sigmoid(logits)
    error = p * (1 - target) + (1 - p) * target
    alpha = 0.25 * target + 0.75 * (1 - target)
    values = alpha * error**2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(values, weight)


@LOSSES.register("dice_focal")
def dice_focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Dice + focal loss, unweighted."""
    return dice(logits, target, weight) + focal(logits, target, weight)


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)
