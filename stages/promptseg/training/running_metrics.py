"""Metrics of an epoch, summed up over its batches and over processes."""

from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch

from promptseg.core.devices import Processes
from promptseg.training import losses


class EpochMetrics(NamedTuple):
    """Means over all masks of an epoch; None where there was nothing to take a mean of.

    Attributes:
        loss: mean over losses.
        dice_loss: mean Dice loss of the masks, whatever the loss that is trained with.
        iou: mean IoU of the masks at a threshold of 0.5, 1 where prediction and target are empty; or another measure of
            the epoch, see `TrainingRun.validation`.
        foreground: share of the pixels that are not ignored which is predicted as foreground.
        target_foreground: share of them that is foreground in the target.
        threshold: with which a run scores best on the split it is validated on, see `TrainingRun.validation`.
    """

    loss: float | None
    dice_loss: float | None
    iou: float | None
    foreground: float | None
    target_foreground: float | None
    threshold: float | None = None


@dataclass
class MetricSums:
    """Sums and counts of this process, of which `mean` makes EpochMetrics; a pretext task has losses and no masks."""

    loss: float = 0.0
    loss_count: float = 0.0
    dice_loss: float = 0.0
    iou: float = 0.0
    foreground: float = 0.0
    target_foreground: float = 0.0
    mask_count: float = 0.0

    def add_losses(self, values: torch.Tensor) -> None:
        """Add losses (m,)."""
        self.loss += values.detach().sum().item()
        self.loss_count += len(values)

    def add_masks(self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> None:
        """Add masks: logits, targets in [0, 1] and weights, 0 for ignored pixels, each (m, h, w)."""
        counted = weight > 0
        predicted, foreground = (logits > 0) & counted, (target >= 0.5) & counted
        union, overlap = (predicted | foreground).sum((1, 2)), (predicted & foreground).sum((1, 2))
        pixels = counted.sum((1, 2)).clamp(min=1)
        self.dice_loss += losses.dice(logits, target, weight).sum().item()
        self.iou += torch.where(union > 0, overlap / union.clamp(min=1), 1.0).sum().item()
        self.foreground += (predicted.sum((1, 2)) / pixels).sum().item()
        self.target_foreground += (foreground.sum((1, 2)) / pixels).sum().item()
        self.mask_count += len(logits)

    def mean(self, processes: Processes) -> EpochMetrics:
        """Means over the masks of all processes, which must all call this."""
        # Doubles: the means must not depend on how the sums were split among the processes.
        total = torch.tensor(astuple(self), dtype=torch.float64).to(processes.device)
        processes.sum([total])
        loss, loss_count, *sums, mask_count = total.tolist()
        return EpochMetrics(
            loss / loss_count if loss_count else None, *(value / mask_count if mask_count else None for value in sums)
        )

    def describe(self) -> dict[str, str]:
        """Loss and IoU so far, for a progress bar."""
        return {
            "loss": f"{self.loss / max(self.loss_count, 1):.3f}",
            "iou": f"{self.iou / max(self.mask_count, 1):.3f}",
        }
