"""Losses over logits (m, h, w) against targets (m, h, w) in [0, 1], pixels weighed by (m, h, w); one value a map."""

from collections.abc import Callable

import torch
import torch.nn.functional as F


def dice(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """1 - (2 yp + 1) / (y + p + 1), each term summed over the map, as the main study writes it -> (m,)."""
    p = torch.sigmoid(logits) * weight
    y = target * weight
    overlap = (torch.sigmoid(logits) * y).sum((1, 2))
    return 1 - (2 * overlap + 1) / (y.sum((1, 2)) + p.sum((1, 2)) + 1)


def bce(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over the counted pixels of each map -> (m,)."""
    return _mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight)


def dice_bce(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Dice + cross-entropy, unweighted, as MedSAM is trained (Ma et al. 2024) -> (m,)."""
    return dice(logits, target, weight) + bce(logits, target, weight)


def focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Focal loss (Lin et al. 2017) with gamma 2 and alpha 0.25, mean over the counted pixels -> (m,)."""
    p = torch.sigmoid(logits)
    wrong = p * (1 - target) + (1 - p) * target
    alpha = 0.25 * target + 0.75 * (1 - target)
    each = alpha * wrong**2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each, weight)


def dice_focal(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Dice + focal loss, unweighted -> (m,)."""
    return dice(logits, target, weight) + focal(logits, target, weight)


def _mean(each: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (each * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)


LOSSES: dict[str, Callable] = {
    "dice": dice, "bce": bce, "dice_bce": dice_bce, "focal": focal, "dice_focal": dice_focal,
}  # fmt: skip
