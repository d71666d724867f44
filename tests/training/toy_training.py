"""A model of twelve weights and a split without files, for tests of the training loop that take no time."""

import functools
from pathlib import Path

import numpy as np
import torch
from promptseg.core.devices import Processes
from promptseg.core.train_config import Train
from promptseg.data import masks
from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.training import epochs, trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.training_run import PRETEXT, TRAIN, Phase, TrainingRun
from promptseg.training.training_split import TrainingItem, TrainingSplit

SIDE = 8
TRAINABLE = ("gain", "mix")
STATEFUL = {
    "epochs": 3, "optimizer": "adamw", "weight_decay": 0.1, "ema_decay": 0.7, "schedule": "cosine", "warmup": 0.3,
    "grad_accumulation_steps": 2, "max_grad_norm": 0.05,
}  # fmt: skip


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class ToySegmenter(Segmenter):
    """Logits are a weighted sum of mixed channels, half of whose values are dropped while it trains."""

    NAME, PROMPTS, TRAINABLE, CACHED = "toy", frozenset({"none"}), {"all": TRAINABLE}, False
    transform = ImageTransform(SIDE, True, (100, 110, 120), (50, 50, 50))

    def __init__(self):
        super().__init__()
        self.gain, self.dropout = torch.nn.Parameter(torch.ones(3, 1, 1)), torch.nn.Dropout(0.5)
        self.mix, self.frozen = torch.nn.Parameter(torch.eye(3)), torch.nn.Parameter(torch.ones(1))

    def encode(self, images: list[np.ndarray]) -> dict[str, torch.Tensor]:
        return {"pixels": self.dropout(self.transform.to_input(images))}

    def decode(self, features, prompts) -> torch.Tensor:
        """A logit map for each prompt."""
        return self._mixed(features).sum(1, keepdim=True).expand(-1, len(prompts[0]), -1, -1)

    def pretext_loss(self, features) -> torch.Tensor:
        return self._mixed(features).square().mean((1, 2, 3))

    def _mixed(self, features) -> torch.Tensor:
        return torch.einsum("nchw,cd->ndhw", features["pixels"], self.mix) * self.gain


class ToySplit(TrainingSplit):
    """Random images whose bright half is the object."""

    def __init__(self, name: str, count: int, segmenter: Segmenter, seed: int = 0):
        super().__init__(segmenter, seed)
        self._name, rng = name, np.random.default_rng((len(name), count))
        self.images = rng.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def id(self, index: int) -> str:
        return f"{self._name}/{index}"

    def take(self, index: int, epoch: int) -> TrainingItem:
        image = self.images[index]
        region = masks.whole_region(image.mean(axis=2) > 128)
        return self.make_item(index, epoch, [Prompt.of()], [region], np.ones((SIDE, SIDE), bool), image)


def toy_config(**train) -> Train:
    return Train(**{"epochs": 3, "trainable": ["all"], "loss": "dice", "lr": 0.05, "batch_size": 4, **train})


def toy_phase(compute_losses, name: str = TRAIN, order_key: tuple[int, ...] = (), **train) -> Phase:
    config = toy_config(**train)
    return Phase(name, config.epochs, config, list(TRAINABLE), compute_losses, order_key)


def toy_run(phases: list[Phase], segmenter: Segmenter, val: int = 3, seed: int = 0) -> TrainingRun:
    splits = ToySplit("train", 11, segmenter, seed), ToySplit("val", val, segmenter, seed)
    return TrainingRun(segmenter, *splits, phases, Processes(), seed)


def make_run(pretext: int = 0, seed: int = 0, val: int = 3, **train) -> TrainingRun:
    """A run of a new model on masks, after so many epochs of the pretext task."""
    model, config = ToySegmenter(), toy_config(**train)
    phases = [toy_phase(functools.partial(epochs.mask_losses, model, config), **train)]
    if pretext:
        losses = functools.partial(epochs.pretext_losses, model)
        phases.insert(0, toy_phase(losses, PRETEXT, (1,), **train | {"epochs": pretext, "ema_decay": None}))
    return toy_run(phases, model, val, seed)


def train_toy(run: TrainingRun, folder: Path, out: str = "w") -> tuple[bytes, str]:
    """Train a run; returns the bytes of its weights, and its curve."""
    outputs = trainer.Outputs(folder / f"{out}.resume", folder / out, folder / f"{out}.csv")

    def write(path: Path, values: dict[str, torch.Tensor], threshold: float | None) -> None:
        weights.write(path, {}, values)

    manager = CheckpointManager(outputs.resume, {}, write, Processes())
    trainer.train(run, manager, outputs)
    assert not outputs.resume.exists()
    return (outputs.weights / weights.TENSORS).read_bytes(), outputs.curve.read_text()
