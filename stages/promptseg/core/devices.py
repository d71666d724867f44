"""Device of this process, torch's global settings, and collective operations on tensors.

A stage is one process when started plainly, and one of many under torchrun, on one machine or several. The number of
processes and the kind of device decide the speed and never the result.
"""

import ctypes
import os

import torch
from accelerate import PartialState
from accelerate.utils import reduce

from promptseg.core import portable
from promptseg.core.distributed import Ranks

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


class Processes(Ranks):
    """Ranks with a device: reads torchrun's environment, joins the process group and picks the device.

    Attributes:
        device: torch.device of this rank.
    """

    def __init__(self):
        super().__init__()
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.device = self._state.device

    def wait(self) -> None:
        """Wait until all processes are here. Raises UserError where one of them has ended."""
        with self.collective():
            self._state.wait_for_everyone()

    def sum(self, values: list[torch.Tensor]) -> None:
        """Replace float tensors, in place, by their sums over all processes; one message for all of them."""
        if self.world == 1:
            return
        flat = torch.cat([value.reshape(-1) for value in values])
        with self.collective():
            flat = reduce(flat, "sum")
        for value, total in zip(values, flat.split([value.numel() for value in values])):
            value.copy_(total.view_as(value))

    def close(self) -> None:
        """Leave the process group."""
        self._state.destroy_process_group()


def configure_torch(processes: Processes) -> None:
    """Set torch up for this process: deterministic algorithms, fp32, its share of the cores, memory that is reused.

    Global and idempotent; a stage's entry calls it once, before it computes anything.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    # As use_deterministic_algorithms(True, warn_only=True), which imports torch's compiler for 2 s too; nothing here is
    # compiled.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a slow debugging aid; nothing here reads such memory
    torch.backends.cudnn.allow_tf32 = False  # by default convolutions of fp32 have 10 bits on a GPU
    torch.set_num_threads(1 if portable.held() else processes.cores)
    _keep_memory()


def _keep_memory() -> None:
    """Let glibc reuse freed blocks of any size.

    By default it returns each large tensor to the kernel, which zeroes the pages again for the next layer: 9 GB and a
    third of the CPU time for one image through SAM ViT-B.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc only
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
