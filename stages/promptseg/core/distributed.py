"""Ranks of the processes that torchrun started, without torch until they communicate.

The number of processes decides the speed and never the result: work is distributed in chunks whose borders do not
depend on how many processes take part.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TypeVar

from promptseg.core.errors import UserError

T = TypeVar("T")


class Ranks:
    """Rank of this process, from the environment that torchrun sets; a plain process is rank 0 of 1.

    Attributes:
        rank: number of this process, from 0.
        world: number of processes.
        main: True in rank 0, the process that writes.
        local_world_size: number of processes on this machine.
        cores: CPU cores for this process; those of the machine are shared evenly.
    """

    def __init__(self):
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.main = self.rank == 0
        self.local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        # Left to themselves, processes on one machine would each use all of its cores.
        self.cores = max(1, len(os.sched_getaffinity(0)) // self.local_world_size)

    def chunks(self, count: int, size: int) -> Iterator[range]:
        """Yield this rank's share of range(count): every `world`-th chunk of `size`."""
        for start in range(self.rank * size, count, self.world * size):
            yield range(start, min(start + size, count))

    def gather(self, value: T) -> list[T]:
        """Gather a picklable value from every process, in the order of the ranks.

        All processes must call this. Raises UserError where one of them has ended.
        """
        if self.world == 1:
            return [value]
        from accelerate import PartialState
        from accelerate.utils import gather_object

        with self.collective():
            PartialState(cpu=True)  # joins a group of gloo, unless Processes has joined one
            return gather_object([value])

    @contextlib.contextmanager
    def collective(self) -> Iterator[None]:
        """Guard a collective operation. Raises UserError where another process has ended."""
        try:
            yield
        except RuntimeError as error:  # gloo and NCCL have no specific error in common
            reason = str(error).splitlines()[0]
            raise UserError(
                f"process {self.rank} of {self.world} lost the connection to another process ({reason[:200]}); run the "
                "same command again, it resumes from what was saved"
            ) from error

    def close(self) -> None:
        """Leave the process group."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState(cpu=True).destroy_process_group()
