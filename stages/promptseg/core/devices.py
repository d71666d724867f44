"""One process or many, for stages that compute: the device, and what must happen together.

Started plainly a stage is one process; under torchrun it is one of many, on one machine or several. The number of
processes and the kind of device decide the speed and never the result.
"""

import ctypes
import os

import torch
import torch.distributed
from accelerate import PartialState

from promptseg.core.distributed import Ranks

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


class Processes(Ranks):
    """This process among `world` of them, and the device that it computes on."""

    def __init__(self):
        super().__init__()
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is only deterministic with it
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.device = self._state.device
        torch.set_num_threads(self.cores)
        _keep_memory()

    def wait(self) -> None:
        """Go on only when all have come here."""
        with self.together():
            self._state.wait_for_everyone()

    def sum(self, values: list[torch.Tensor]) -> None:
        """Replace float tensors by their sums over all processes, in one message."""
        if self.world == 1:
            return
        flat = torch.cat([value.reshape(-1) for value in values])
        with self.together():
            torch.distributed.all_reduce(flat)
        start = 0
        for value in values:
            value.copy_(flat[start : start + value.numel()].view_as(value))
            start += value.numel()

    def close(self) -> None:
        """Leave the group, so that no process waits for one that is gone."""
        self._state.destroy_process_group()


def _keep_memory() -> None:
    """Let glibc keep freed blocks for the next ones, however large.

    By default it gives each large tensor back to the kernel, which clears its pages again for the next layer's: 9 GB
    and a third of the processor time for one picture through SAM ViT-B.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone; elsewhere things stay as they are
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
