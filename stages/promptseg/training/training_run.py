"""A training run: the model, the splits and the phases that it goes through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from promptseg.core.devices import Processes
from promptseg.core.train_config import CompleteTrain
from promptseg.nn.segmenter import Segmenter
from promptseg.training.running_metrics import MetricSums
from promptseg.training.training_split import TrainingItem, TrainingSplit

if TYPE_CHECKING:  # a run that has none needs no inference
    from promptseg.training.validation import Validation

PRETEXT, TRAIN = "pretext", "train"  # names of phases


@dataclass(frozen=True)
class Phase:
    """Epochs with an optimizer of their own.

    Attributes:
        name: PRETEXT or TRAIN; weights are saved from the best epoch of TRAIN.
        epochs: number of epochs.
        config: settings of the phase.
        trainable: names of the parameters that are trained.
        compute_losses: (split, items, epoch, sums) -> losses (m,) each of these items, which it also adds to the sums.
        order_key: makes the order of the images differ from that of other phases.
    """

    name: str
    epochs: int
    config: CompleteTrain
    trainable: list[str]
    compute_losses: Callable[[TrainingSplit, list[TrainingItem], int, MetricSums], list[torch.Tensor]]
    order_key: tuple[int, ...] = ()


@dataclass(frozen=True)
class TrainingRun:
    """All that the loop needs.

    Attributes:
        segmenter: on the device of the processes.
        train_split: to train on.
        val_split: to validate on; it may be empty.
        phases: in order.
        processes: they share each batch.
        seed: of the study; all random numbers follow from it and the epoch.
        validation: how the best epoch is found; None: by the mean IoU of the masks that `val_split` prompts for.
    """

    segmenter: Segmenter
    train_split: TrainingSplit
    val_split: TrainingSplit
    phases: list[Phase]
    processes: Processes
    seed: int
    validation: "Validation | None" = None

    @property
    def trained_parameters(self) -> list[str]:
        """Names of the parameters that any phase trains, sorted."""
        return sorted({name for phase in self.phases for name in phase.trainable})
