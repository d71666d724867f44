"""Training of a tiny checkpoint with the trainer of fine-tuning: its epochs, optimizer steps, resuming and curve."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from promptseg.core import devices, fingerprint
from promptseg.core.devices import Processes
from promptseg.core.train_config import CompleteTrain
from promptseg.nn import weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import epochs, train_settings, trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.training_run import PRETEXT, TRAIN, Phase, TrainingRun
from promptseg.training.training_split import TrainingSplit
from settings import Training


class RenderedSplit(TrainingSplit):
    """Items that are rendered anew in each epoch; epoch 0, which is validated on, has the same ones each time.

    split: of `rendering.SPLITS`; count: number of items of an epoch.
    """

    def __init__(self, split: str, count: int, segmenter: Segmenter, config: Training, seed: int):
        super().__init__(segmenter, seed)
        self.split, self.count, self.config = split, count, config

    def __len__(self) -> int:
        return self.count

    def id(self, index: int) -> str:
        """Name of an item."""
        return f"{self.split}/{index:06d}"

    def number(self, index: int, epoch: int) -> int:
        """Number of an item among those of all epochs."""
        return max(epoch - 1, 0) * self.count + index


@dataclass(frozen=True)
class Setup:
    """A model with its data and loss."""

    segmenter: Segmenter
    splits: list[RenderedSplit]  # to train and to validate on
    losses: Callable = epochs.mask_losses  # (segmenter, train settings) and then as Phase takes them
    # Prefix of the parameters that alone are trained and written, and their config.json; None: all are written, and the
    # settings name those that are trained.
    part: tuple[str, dict] | None = None
    # Losses of `train.pretext_epochs` epochs before, as `losses`, which train the parameters of the model's PRETEXT.
    pretext_losses: Callable | None = None
    pretext_lr: float | None = None  # in place of `train.lr`

    def phases(self, settings: CompleteTrain) -> list[Phase]:
        """The pretext task, where there is one, and the training; the model is left as the last one needs it."""
        segmenter, phases = self.segmenter, []
        if self.pretext_losses:
            # Training continues from the last weights and not from their average.
            own = settings.model_copy(update={"ema_decay": None, "lr": self.pretext_lr or settings.lr})
            trainable = segmenter.set_trainable_prefixes(segmenter.PRETEXT)
            losses = functools.partial(self.pretext_losses, segmenter, own)
            phases.append(Phase(PRETEXT, own.pretext_epochs, own, trainable, losses, order_key=(1,)))
        if self.part:
            trainable = segmenter.set_trainable_prefixes(self.part[:1])
        else:
            trainable = segmenter.set_trainable(settings.trainable)
        losses = functools.partial(self.losses, segmenter, settings)
        return [*phases, Phase(TRAIN, settings.epochs, settings, trainable, losses)]

    def write(self, folder: Path, trained: dict[str, torch.Tensor]) -> None:
        """Write a checkpoint in fp16, with the trained parameters by name."""
        prefix, config = self.part or ("", self.segmenter.configuration())
        tensors = {**self.segmenter.state_dict(), **trained}
        stored = {name: value for name, value in tensors.items() if name.startswith(prefix)}
        tensors = half_precision(weights.without_prefix(stored, prefix))
        weights.write(folder, config, tensors, self.segmenter.files())


# (settings, seed, checkpoint to start from) -> setup
Builder = Callable[[Training, int, Path | None], Setup]


def train(
    name: str, build: Builder, config: Training, seed: int, outputs: trainer.Outputs, start: Path | None = None
) -> None:
    """Train a checkpoint, from initial weights or from another one, and write it in fp16, with its curve.

    The checkpoint is of the epoch with the best validation IoU, or of the last one for a model without masks.

    Raises:
        UserError: a setting is missing or unknown, or the loss is not finite.
    """
    processes = Processes()
    devices.configure_torch(processes)
    torch.manual_seed(seed)
    setup = build(config, seed, start)
    segmenter = setup.segmenter.to(processes.device)
    settings = train_settings.check(config.train.completed(segmenter.TRAIN_DEFAULTS))
    run = TrainingRun(segmenter, *setup.splits, setup.phases(settings), processes, seed)
    inputs = {
        "model": name, "settings": config.model_dump(mode="json"), "seed": seed,
        "start": start and weights.digest(start), "code": fingerprint.digest(Path(__file__).parent.rglob("*.py")),
    }  # fmt: skip

    def write_weights(folder: Path, trained: dict[str, torch.Tensor], threshold: float | None) -> None:
        setup.write(folder, trained)  # a checkpoint has no threshold: that is for one dataset

    trainer.train(run, CheckpointManager(outputs.resume, inputs, write_weights, processes), outputs)


def half_precision(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert floating-point tensors to fp16."""
    return {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
