"""One process or many: who I am, which part of the work is mine, and what must happen together.

Started plainly a stage is one process; under torchrun it is one of many, on one machine or several. The number of
processes and the kind of device decide the speed and never the result: work is dealt out in chunks whose borders do
not depend on how many take part.
"""

import os
from collections.abc import Iterator

import torch
import torch.distributed
from accelerate import PartialState


class Processes:
    """This process among `world` of them. `main` is true in the one that writes."""

    def __init__(self):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is only deterministic with it
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self.world, self.device = self._state.process_index, self._state.num_processes, self._state.device
        self.main = self.rank == 0
        # Processes that share a machine share its cores; left alone each would take all of them.
        on_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // on_this_machine))

    def chunks(self, count: int, size: int) -> Iterator[range]:
        """This process's share of 0 .. count - 1, in chunks of `size`: every world-th chunk."""
        for start in range(self.rank * size, count, self.world * size):
            yield range(start, min(start + size, count))

    def wait(self) -> None:
        """Go on only when all have come here."""
        self._state.wait_for_everyone()

    def sum(self, values: list[torch.Tensor]) -> None:
        """Replace float tensors by their sums over all processes, in one message."""
        if self.world == 1:
            return
        flat = torch.cat([value.reshape(-1) for value in values])
        torch.distributed.all_reduce(flat)
        start = 0
        for value in values:
            value.copy_(flat[start : start + value.numel()].view_as(value))
            start += value.numel()

    def close(self) -> None:
        """Leave the group, so that no process waits for one that is gone."""
        self._state.destroy_process_group()
