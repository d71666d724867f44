"""Training checkpoints, from which a killed run resumes to the same bytes as an unbroken one.

The resume folder of a run holds `epoch-0007`, all that later epochs depend on, and `best-0005`, the weights of the best
epoch so far; both as `nn.weights` writes them. A new one is complete before an old one is removed, so a kill at any
moment costs at most the epoch that it interrupts, or SAVE_INTERVAL seconds of shorter epochs. Random numbers follow
from seed and epoch and need no state. Neither git nor DVC tracks the folder.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights

SAVE_INTERVAL = 10.0  # seconds between two checkpoints; an epoch over a few images is shorter than writing one
PREFIXES = ("parameters.", "optimizer.")  # of the names of tensors in a checkpoint

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after an epoch; empty before the first.

    Attributes:
        rows: of the training curve, up to this epoch.
        parameters: the trained ones, by name.
        optimizer: OptimizerSteps.state_dict.
    """

    rows: list[dict] = field(default_factory=list)
    parameters: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)


class CheckpointManager:
    """Checkpoints of one run.

    Args:
        folder: resume folder of the run.
        inputs: all that decides what is trained, as JSON; checkpoints of other inputs are not used.
        write_weights: (folder, trained parameters, threshold) -> writes what is saved of a model, as `nn.weights` does.
        processes: the first one reads and writes.
    """

    def __init__(
        self,
        folder: Path,
        inputs: dict,
        write_weights: Callable[[Path, Tensors, float | None], None],
        processes: Processes,
    ):
        self._folder, self._inputs, self._write_weights, self._processes = folder, inputs, write_weights, processes
        self._best: int | None = None
        # In memory until they are needed on disk, with their threshold.
        self._best_weights: tuple[Tensors, float | None] | None = None
        self._saved_at = time.monotonic()

    def load(self) -> Checkpoint:
        """Read the latest checkpoint, the same in all processes; an empty one where there is none."""
        name = self._processes.gather(self._latest() if self._processes.main else None)[0]
        if name is None:
            return Checkpoint()
        config, tensors = weights.read(self._folder / name)
        self._best = config["best"]
        parameters, optimizer = ({name: tensors[prefix + name] for name in config[prefix]} for prefix in PREFIXES)
        return Checkpoint(config["rows"], parameters, optimizer)

    def exists(self) -> bool:
        """Whether there is a checkpoint to resume from; the same in all processes."""
        return self._processes.gather(self._processes.main and self._latest() is not None)[0]

    def keep_best(self, epoch: int, parameters: Tensors, threshold: float | None) -> None:
        """Keep a copy of the best weights so far; they are written with the next checkpoint or by `best_folder`.

        Args:
            epoch: of the weights.
            parameters: the trained ones, by name.
            threshold: the best on the validation split with these weights; None: none was chosen.
        """
        self._best = epoch
        if self._processes.main:
            copies = {name: value.detach().to("cpu", copy=True) for name, value in parameters.items()}
            self._best_weights = copies, threshold

    def best_folder(self) -> Path | None:
        """Folder with the best weights so far, written if need be; None before `keep_best`."""
        if self._best is None:
            return None
        folder = self._folder / f"best-{self._best:04d}"
        if self._best_weights is not None:
            self._write_weights(folder, *self._best_weights)
            self._best_weights = None
        return folder

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove older ones, unless the last one is less than SAVE_INTERVAL seconds old."""
        if time.monotonic() - self._saved_at < SAVE_INTERVAL:
            return
        best, folder = self.best_folder(), self._folder / f"epoch-{checkpoint.rows[-1]['epoch']:04d}"
        config: dict[str, Any] = {"inputs": self._inputs, "rows": checkpoint.rows, "best": self._best}
        tensors: Tensors = {}
        for prefix, values in zip(PREFIXES, (checkpoint.parameters, checkpoint.optimizer), strict=True):
            config[prefix] = sorted(values)
            tensors |= {f"{prefix}{name}": value for name, value in values.items()}
        weights.write(folder, config, tensors)
        for path in self._folder.iterdir():
            if path not in (folder, best):
                shutil.rmtree(path)
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the resume folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _latest(self) -> str | None:
        """Name of the latest intact checkpoint of the same inputs."""
        for path in sorted(self._folder.glob("epoch-*"), reverse=True):
            try:
                config, _ = weights.read(path)
                if config["best"] is not None:
                    weights.check(self._folder / f"best-{config['best']:04d}")
            except UserError:  # a kill interrupted its removal, or it was damaged since
                continue
            if config["inputs"] == self._inputs:
                return path.name
        return None
