"""Where a run's training stands after each epoch, so that a killed one goes on to the same bytes as an unbroken one.

In a folder of the run: `epoch-0007`, all that the epochs to come depend on, and `best-0005`, what the run would keep
if it ended here. Both are folders as weights.py has them. A new one is whole before an old one is removed, so a kill
at any moment costs at most the epoch that it fell into, or EVERY seconds of shorter ones. What is drawn at random follows from seed and epoch, and needs
no state. Neither git nor DVC looks at the folder.
"""

import shutil
import time
from pathlib import Path

import torch

from promptseg.base.errors import Problem
from promptseg.features.distributed import Processes
from promptseg.networks import weights

EVERY = 10.0  # seconds between two that are written; an epoch over a handful of pictures is shorter than its writing
KINDS = ("learned.", "steps.")  # of tensors: what the names of each begin with


class State:
    """The state of one run. inputs: all that decides what is learned, as JSON; what others left is not used."""

    def __init__(self, folder: Path, inputs: dict, processes: Processes):
        self._folder, self._inputs, self._processes = folder, inputs, processes
        self._written = time.monotonic()

    def read(self) -> tuple[list[dict], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """What `write` was given after the last epoch that was finished, the same in all processes; empty where there
        is none."""
        name = self._processes.gather(self._latest() if self._processes.main else None)[0]
        if name is None:
            return [], {}, {}
        config, tensors = weights.read(self._folder / name)
        learned, steps = ({name: tensors[beginning + name] for name in config[beginning]} for beginning in KINDS)
        return config["rows"], learned, steps

    def begun(self) -> bool:
        """Whether there is something to go on from; the same in all processes."""
        return self._processes.gather(self._processes.main and self._latest() is not None)[0]

    def best(self, epoch: int) -> Path:
        """Where the weights of an epoch are kept that is the best so far."""
        return self._folder / f"best-{epoch:04d}"

    def write(
        self, rows: list[dict], best: int | None, learned: dict[str, torch.Tensor], steps: dict[str, torch.Tensor]
    ) -> None:
        """Keep where training stands after the last of these rows: the curve so far, the weights that learn, and the
        state of their steps. best: the epoch whose weights are kept already, if there is one. Nothing is written sooner
        than EVERY seconds after the last time."""
        if time.monotonic() - self._written < EVERY:
            return
        folder = self._folder / f"epoch-{rows[-1]['epoch']:04d}"
        config = {"inputs": self._inputs, "rows": rows, "best": best}
        tensors = {}
        for kind, values in zip(KINDS, (learned, steps), strict=True):
            config[kind] = sorted(values)
            tensors |= {f"{kind}{name}": value for name, value in values.items()}
        weights.write(folder, config, tensors)
        for path in self._folder.iterdir():
            if path != folder and (best is None or path != self.best(best)):
                shutil.rmtree(path)
        self._written = time.monotonic()

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _latest(self) -> str | None:
        for path in sorted(self._folder.glob("epoch-*"), reverse=True):
            try:
                config, _ = weights.read(path)
                if config["best"] is not None:
                    weights.check(self.best(config["best"]))
            except Problem:  # cut short by a kill while it was being removed, or damaged since
                continue
            if config["inputs"] == self._inputs:
                return path.name
        return None
