"""Where a run's training stands after each epoch, so that a killed one goes on to the same bytes as an unbroken one.

In a folder of the run: `epoch-0007`, all that the epochs to come depend on, and `best-0005`, what the run would keep
if it ended here. Both are folders as weights.py has them. A new one is whole before an old one is removed, so a kill
at any moment costs at most the epoch that it fell into, or EVERY seconds of shorter ones. What is drawn at random
follows from seed and epoch, and needs no state. Neither git nor DVC looks at the folder.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch

from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights

EVERY = 10.0  # seconds between two that are written; an epoch over a handful of pictures is shorter than its writing
KINDS = ("learned.", "steps.")  # of tensors: what the names of each begin with


class CheckpointManager:
    """The state of one run. inputs: all that decides what is learned, as JSON; what others left is not used.

    keep: (folder, weights that learn) writes what is to be kept of a model, into a folder as weights.py has it.
    """

    def __init__(
        self, folder: Path, inputs: dict, keep: Callable[[Path, dict[str, torch.Tensor]], None], processes: Processes
    ):
        self._folder, self._inputs, self._keep, self._processes = folder, inputs, keep, processes
        self._best: int | None = None
        self._held: dict[str, torch.Tensor] | None = None
        self._written = time.monotonic()

    def read(self) -> tuple[list[dict], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """What `write` was given last, the same in all processes; empty where there is none."""
        name = self._processes.gather(self._latest() if self._processes.main else None)[0]
        if name is None:
            return [], {}, {}
        config, tensors = weights.read(self._folder / name)
        self._best = config["best"]
        learned, steps = ({name: tensors[beginning + name] for name in config[beginning]} for beginning in KINDS)
        return config["rows"], learned, steps

    def begun(self) -> bool:
        """Whether there is something to go on from; the same in all processes."""
        return self._processes.gather(self._processes.main and self._latest() is not None)[0]

    def hold(self, epoch: int, learned: dict[str, torch.Tensor]) -> None:
        """These are the best weights so far. They are copied, and written when they are asked for."""
        self._best = epoch
        if self._processes.main:
            self._held = {name: value.detach().to("cpu", copy=True) for name, value in learned.items()}

    def best(self) -> Path | None:
        """Where the best weights lie, once there are any."""
        if self._best is None:
            return None
        folder = self._folder / f"best-{self._best:04d}"
        if self._held is not None:
            self._keep(folder, self._held)
            self._held = None
        return folder

    def write(self, rows: list[dict], learned: dict[str, torch.Tensor], steps: dict[str, torch.Tensor]) -> None:
        """Keep where training stands after the last of these rows: the curve so far, the weights that learn, and the
        state of their steps. Nothing is written sooner than EVERY seconds after the last time."""
        if time.monotonic() - self._written < EVERY:
            return
        best, folder = self.best(), self._folder / f"epoch-{rows[-1]['epoch']:04d}"
        config = {"inputs": self._inputs, "rows": rows, "best": self._best}
        tensors = {}
        for kind, values in zip(KINDS, (learned, steps), strict=True):
            config[kind] = sorted(values)
            tensors |= {f"{kind}{name}": value for name, value in values.items()}
        weights.write(folder, config, tensors)
        for path in self._folder.iterdir():
            if path not in (folder, best):
                shutil.rmtree(path)
        self._written = time.monotonic()

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _latest(self) -> str | None:
        for path in sorted(self._folder.glob("epoch-*"), reverse=True):
            try:
                config, _ = weights.read(path)
                if config["best"] is not None:
                    weights.check(self._folder / f"best-{config['best']:04d}")
            except UserError:  # cut short by a kill while it was being removed, or damaged since
                continue
            if config["inputs"] == self._inputs:
                return path.name
        return None
