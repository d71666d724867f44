"""Train a tiny checkpoint with the project's own loop: epochs, steps, resume and curve are those of fine-tuning."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from promptseg.core import files
from promptseg.core.devices import Processes
from promptseg.nn import weights
from promptseg.nn.segmenter import Segmenter
from promptseg.training import trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.epochs import Phase
from promptseg.training.setup import TRAIN
from promptseg.training.training_split import Split
from settings import SamSegmenter, Told

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Lessons:
    """What is learned, and from what. splits: to learn from, and to measure on; learned: names of parameters; losses: as
    Phase has them; write: (folder, weights that learn) writes the checkpoint."""

    segmenter: Segmenter
    splits: list[Split]
    learned: list[str]
    losses: Callable
    write: Callable[[Path, dict[str, torch.Tensor]], None]


# (settings, seed, checkpoint to begin with, processes) -> lessons
Prepare = Callable[[SamSegmenter | Told, int, Path | None, Processes], Lessons]


def train(
    name: str, prepare: Prepare, asked: SamSegmenter | Told, seed: int, start: Path | None, resume: Path, out: Path,
    curve: Path,
) -> None:  # fmt: skip
    """Write the checkpoint of that name, in fp16, from the epoch with the best IoU on `val`, or from the last one where
    no masks are learned, and its curve (CSV).

    start: the checkpoint that it begins with, where it does; resume: folder for where this training stands, removed at
    its end. Raises UserError for a loss that is not finite.
    """
    processes = Processes()
    torch.manual_seed(seed)
    given = prepare(asked, seed, start, processes)
    phase = Phase(TRAIN, asked.train.epochs, asked.train, given.learned, given.losses)
    code = {str(path.relative_to(HERE)): files.sha256(path) for path in sorted(HERE.rglob("*.py"))}
    inputs = {"model": name, "settings": asked.model_dump(mode="json"), "seed": seed, "code": code}
    if start is not None:
        inputs["start"] = weights.digest(start)
    state = CheckpointManager(resume, inputs, given.write, processes)
    trainer.learn(given.segmenter, given.splits, [phase], given.learned, state, processes, seed, out, curve)


def writer(segmenter: Segmenter) -> Callable[[Path, dict[str, torch.Tensor]], None]:
    """Writes a checkpoint as the model's `load` takes it, with half the bytes."""
    return functools.partial(_write, segmenter)


def half(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same with fp16 in place of fp32."""
    return {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}


def _write(segmenter: Segmenter, folder: Path, learned: dict[str, torch.Tensor]) -> None:
    tensors = {**segmenter.state_dict(), **learned}
    weights.write(folder, segmenter.configuration(), half(tensors), segmenter.files())
