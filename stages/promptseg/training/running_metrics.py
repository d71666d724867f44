"""What an epoch's maps come to: their loss, their IoU, and how much of the pictures they mark."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from promptseg.core.devices import Processes


class Means(NamedTuple):
    """Means over the maps of all processes; foreground: the share of counted pixels that is marked, true: that should
    be. None where there was nothing to take a mean of."""

    loss: float | None
    iou: float | None
    foreground: float | None
    true: float | None


@dataclass
class Sums:
    """What is added up on the way: of the losses, and of the maps, which there are none of in a pretext task."""

    loss: float = 0.0
    losses: float = 0.0
    iou: float = 0.0
    foreground: float = 0.0
    true: float = 0.0
    maps: float = 0.0

    def add_losses(self, each: torch.Tensor) -> None:
        """each: (m,)."""
        self.loss += each.detach().sum().item()
        self.losses += len(each)

    def add_maps(self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> None:
        """All (m, h, w)."""
        counted = weight > 0
        predicted, true = (logits > 0) & counted, (target >= 0.5) & counted
        union, overlap = (predicted | true).sum((1, 2)), (predicted & true).sum((1, 2))
        pixels = counted.sum((1, 2)).clamp(min=1)
        self.iou += torch.where(union > 0, overlap / union.clamp(min=1), 1.0).sum().item()
        self.foreground += (predicted.sum((1, 2)) / pixels).sum().item()
        self.true += (true.sum((1, 2)) / pixels).sum().item()
        self.maps += len(logits)

    def means(self, processes: Processes) -> Means:
        # Doubles: the sums must not depend on how they were split among the processes.
        total = torch.tensor(
            [self.loss, self.losses, self.iou, self.foreground, self.true, self.maps], dtype=torch.float64
        ).to(processes.device)
        processes.sum([total])
        loss, losses, *shares, maps = total.tolist()
        return Means(loss / losses if losses else None, *(share / maps if maps else None for share in shares))
