"""Available memory, peak memory of a piece of work, and a limit that fails before the system kills the process.

On a GPU these are bytes of the GPU, on a CPU those of this process.
"""

import contextlib
import ctypes
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from promptseg.core.devices import Processes
from promptseg.core.errors import NotEnoughMemoryError, memory_refused

CGROUP = Path("/sys/fs/cgroup")  # of a container: how much of the machine's memory it may have
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
LEAST = 2**25  # bytes: with less, code that does not expect a refusal would crash before a large tensor is refused
T = TypeVar("T")
RESERVE = 0.2  # of what is free: long runs were seen to grow by 15 to 25 % after their first steps, by fragmentation


class MemoryLimitError(Exception):
    """The work needs more memory than the limit."""


def total() -> int:
    """Memory of the machine, or of its container, in bytes."""
    container = _number(CGROUP / "memory.max")
    machine = psutil.virtual_memory().total
    return machine if container is None else min(machine, container)


def limit(processes: Processes) -> int:
    """Bytes that this process may come to hold: what it has, and its share of what is free."""
    if processes.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(processes.device)
        return int(torch.cuda.memory_reserved(processes.device) + (1 - RESERVE) * free)
    free = psutil.virtual_memory().available
    container, used = (_number(CGROUP / name) for name in ("memory.max", "memory.current"))
    if container is not None and used is not None:
        free = min(free, max(container - used + _reclaimable(), 0))
    return int(psutil.Process().memory_info().rss + (1 - RESERVE) * free / processes.local_world_size)


def measured(work: Callable[[], T], processes: Processes, limit: int) -> tuple[T, int]:
    """Call a function, and measure the peak memory meanwhile.

    Args:
        work: the function; on a CPU it runs in a thread of its own.
        processes: whose device counts.
        limit: bytes; on a CPU with Linux, requests beyond it fail.

    Returns:
        What `work` returned, and the peak in bytes.

    Raises:
        MemoryLimitError: `work` needs more memory than `limit`, as far as can be measured.
    """
    device = processes.device
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            result, peak = work(), torch.cuda.max_memory_reserved(device)
        else:
            result, peak = _in_thread(work, limit)
    except (MemoryError, RuntimeError, NotEnoughMemoryError) as error:
        if memory_refused(error):
            raise MemoryLimitError from error
        raise
    if peak > limit:
        raise MemoryLimitError
    return result, peak


def _in_thread(work: Callable[[], T], limit: int) -> tuple[T, int]:
    """Call a function in a new thread: one to which oneDNN could not give memory for code gets no new layer again."""

    def limited() -> tuple[T, int]:
        _reset_peak()
        more = limit - psutil.Process().memory_info().rss
        if more < LEAST:
            raise MemoryLimitError
        with _limited(more):
            return work(), _peak()

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(limited).result()
    finally:
        _trim()


@contextlib.contextmanager
def _limited(more: int) -> Iterator[None]:
    """Requests beyond so many bytes more fail; otherwise the system would kill this process, or another one."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    held = _status("VmData")
    if held is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (held + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _reset_peak() -> None:
    _trim()
    with contextlib.suppress(OSError):  # where the system has no such file, the peak is that of the whole process
        CLEAR_REFS.write_text("5")


def _trim() -> None:
    """Return unused memory to the system: core.devices keeps it for the next layers, and a thread has its own."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _peak() -> int:
    peak = _status("VmHWM")
    return peak if peak is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(name: str) -> int | None:
    """An entry of Linux's status of this process, in bytes."""
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _reclaimable() -> int:
    """Bytes of files in a container's page cache, which are released when memory is requested."""
    path = CGROUP / "memory.stat"
    lines = path.read_text().splitlines() if path.is_file() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
