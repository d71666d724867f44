"""The device that the rows of gpu_check.py run on, and clocks for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Rig:
    """What the rows run on. rehearsal: without a GPU, at tiny sizes."""

    device: torch.device
    rehearsal: bool

    def wait(self) -> None:
        """Wait for what was sent to the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def once(self, work: Callable[[], Any]) -> tuple[Any, float]:
        """What a call returns, and its wall seconds."""
        self.wait()
        start = time.perf_counter()
        result = work()
        self.wait()
        return result, time.perf_counter() - start

    def seconds(self, work: Callable[[], Any], rounds: int = 3) -> float:
        """Least wall seconds of several calls, after one that warms up."""
        times = [self.once(work)[1] for _ in range(1 + (1 if self.rehearsal else rounds))]
        return min(times[1:])


def make_rig() -> Rig:
    """The first GPU, or the CPU for a rehearsal."""
    if torch.cuda.is_available():
        torch.backends.cudnn.allow_tf32 = False  # as promptseg.core.devices has it
        return Rig(torch.device("cuda:0"), False)
    torch.set_num_threads(1)
    return Rig(torch.device("cpu"), True)


def reason(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
