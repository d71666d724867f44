"""Training of a tiny checkpoint with the trainer of fine-tuning: its epochs, optimizer steps, resuming and curve."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from promptseg.core import files
from promptseg.core.devices import Processes, configure_torch
from promptseg.core.train_config import Train
from promptseg.nn import weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import train_settings, trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.training_run import TRAIN, Phase, TrainingRun
from promptseg.training.training_split import TrainingSplit
from settings import ClipTraining, SamTraining

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Setup:
    """A model with its data and loss.

    Attributes:
        segmenter: the model.
        config: training settings, with the model's defaults filled in.
        splits: training and validation split.
        trainable: names of the trainable parameters.
        losses: as Phase takes them.
        write: (folder, trained parameters by name): writes the checkpoint.
    """

    segmenter: Segmenter
    config: Train
    splits: list[TrainingSplit]
    trainable: list[str]
    losses: Callable
    write: Callable[[Path, dict[str, torch.Tensor]], None]


@dataclass(frozen=True)
class Paths:
    """Files of a training.

    Attributes:
        resume: folder of the state to resume from; removed at the end.
        checkpoint: folder of the trained checkpoint.
        curve: CSV file of the training curve.
        start: folder of the checkpoint that training starts from; None: from initial weights.
    """

    resume: Path
    checkpoint: Path
    curve: Path
    start: Path | None = None


# (settings, seed, checkpoint to start from, processes) -> setup
Builder = Callable[[SamTraining | ClipTraining, int, Path | None, Processes], Setup]


def train(name: str, build: Builder, config: SamTraining | ClipTraining, seed: int, paths: Paths) -> None:
    """Train a checkpoint and write it in fp16, with its curve.

    The checkpoint is of the epoch with the best validation IoU, or of the last one for a model without masks.

    Args:
        name: of the model.
        build: builder of its setup.
        config: training settings.
        seed: of images, prompts and initial weights.
        paths: files.

    Raises:
        UserError: the loss is not finite.
    """
    processes = Processes()
    configure_torch(processes)
    torch.manual_seed(seed)
    setup = build(config, seed, paths.start, processes)
    phase = Phase(TRAIN, setup.config.epochs, setup.config, setup.trainable, setup.losses)
    code = {str(path.relative_to(HERE)): files.sha256(path) for path in sorted(HERE.rglob("*.py"))}
    inputs = {"model": name, "settings": config.model_dump(mode="json"), "seed": seed, "code": code}
    if paths.start is not None:
        inputs["start"] = weights.digest(paths.start)
    run = TrainingRun(setup.segmenter, *setup.splits, [phase], processes, seed)
    checkpoints = CheckpointManager(paths.resume, inputs, setup.write, processes)
    trainer.train(run, checkpoints, trainer.Outputs(paths.resume, paths.checkpoint, paths.curve))


def complete(train: Train, segmenter: Segmenter) -> Train:
    """Fill in the model's defaults as fine-tuning does. Raises UserError for missing keys and unknown names."""
    train = train.completed(segmenter.TRAIN_DEFAULTS)
    train_settings.check(train)
    return train


def checkpoint_writer(segmenter: Segmenter) -> Callable[[Path, dict[str, torch.Tensor]], None]:
    """Return a function that writes a checkpoint in fp16, as the model's `load` takes it."""
    return functools.partial(_write, segmenter)


def half_precision(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert floating-point tensors to fp16."""
    return {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}


def _write(segmenter: Segmenter, folder: Path, trained: dict[str, torch.Tensor]) -> None:
    tensors = {**segmenter.state_dict(), **trained}
    weights.write(folder, segmenter.configuration(), half_precision(tensors), segmenter.files())
