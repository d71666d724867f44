"""Who I am among the processes that torchrun started, without torch until they must meet.

The number of processes decides the speed and never the result: work is dealt out in chunks whose borders do not depend
on how many take part.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TypeVar

from promptseg.core.errors import UserError

T = TypeVar("T")


class Ranks:
    """This process among `world` of them, of which so many are `on_this_machine`; started plainly it is alone. `main`
    is true in the one that writes."""

    def __init__(self):
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.main = self.rank == 0
        # Processes that share a machine share its cores; left alone each would take all of them.
        self.on_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.cores = max(1, len(os.sched_getaffinity(0)) // self.on_this_machine)

    def chunks(self, count: int, size: int) -> Iterator[range]:
        """This process's share of 0 .. count - 1, in chunks of `size`: every world-th chunk."""
        for start in range(self.rank * size, count, self.world * size):
            yield range(start, min(start + size, count))

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of their ranks; all must come here before any goes on."""
        if self.world == 1:
            return [value]
        import torch.distributed

        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        values = [None] * self.world
        with self.together():
            torch.distributed.all_gather_object(values, value)
        return values

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """For what all processes must take part in. Raises UserError where one of them is gone."""
        try:
            yield
        except RuntimeError as error:  # gloo and NCCL have no error in common that says so
            reason = str(error).splitlines()[0]
            raise UserError(
                f"process {self.rank} of {self.world} waits for one that is gone ({reason[:200]}); run the same command "
                "again, it goes on from what was kept"
            ) from error

    def close(self) -> None:
        """Leave the group, so that no process waits for one that is gone."""
        if self.world > 1:
            import torch.distributed

            torch.distributed.destroy_process_group()
