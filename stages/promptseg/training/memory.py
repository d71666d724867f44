"""How much memory there is, how much a piece of work takes at its peak, and an end to it before the system makes one.

On a GPU these are the GPU's bytes, on a CPU those of this process.
"""

import contextlib
import ctypes
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from promptseg.core.devices import Processes

CGROUP = Path("/sys/fs/cgroup")  # of a container, where it says how much of the machine's memory it may have
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
REFUSED = ("allocate memory", "bad_alloc", "memory object")  # words of torch, of C++, of oneDNN
SPARE = 0.2  # of what is free: a long run came to hold 15 to 25 % more than its first steps, in fragments


class Exhausted(Exception):
    """The work took more than there is."""


@dataclass
class Peak:
    """bytes: the most that was held at a time, once the work is done."""

    bytes: int = 0


def total() -> int:
    """Bytes that the machine has, or its container may have."""
    bound = _number(CGROUP / "memory.max")
    whole = psutil.virtual_memory().total
    return whole if bound is None else min(whole, bound)


def limit(processes: Processes) -> int:
    """Bytes that this process may come to hold: what it has, and its share of what is free."""
    if processes.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(processes.device)
        return int(torch.cuda.memory_reserved(processes.device) + (1 - SPARE) * free)
    free = psutil.virtual_memory().available
    bound, used = (_number(CGROUP / name) for name in ("memory.max", "memory.current"))
    if bound is not None and used is not None:
        free = min(free, max(bound - used + _reclaimable(), 0))
    return int(psutil.Process().memory_info().rss + (1 - SPARE) * free / processes.on_this_machine)


@contextlib.contextmanager
def watched(processes: Processes, limit: int) -> Iterator[Peak]:
    """What the block takes at its peak. Raises Exhausted where that is more than `limit`, so far as can be told."""
    peak, device = Peak(), processes.device
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            yield peak
            peak.bytes = torch.cuda.max_memory_reserved(device)
        else:
            _reset_peak()
            with _bounded(limit - psutil.Process().memory_info().rss):
                yield peak
            peak.bytes = _peak()
    except torch.OutOfMemoryError as error:
        raise Exhausted from error
    except (MemoryError, RuntimeError) as error:  # torch's allocator on a CPU raises nothing of its own
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in REFUSED):
            raise
        raise Exhausted from error
    if peak.bytes > limit:
        raise Exhausted


@contextlib.contextmanager
def _bounded(more: int) -> Iterator[None]:
    """A request beyond so many bytes more fails. Without it the system would kill the process, or another one."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    held = _status("VmData")
    if held is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (held + max(more, 0), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _reset_peak() -> None:
    """Give back what is held and not in use (distributed.py keeps it for the next layers), and count from there."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    with contextlib.suppress(OSError):  # where the system has no such file the peak is that of the whole process
        CLEAR_REFS.write_text("5")


def _peak() -> int:
    peak = _status("VmHWM")
    return peak if peak is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(name: str) -> int | None:
    """A line of what Linux says of this process, in bytes."""
    if not STATUS.is_file():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _reclaimable() -> int:
    """Bytes of files that a container has read and that give way when memory is asked for."""
    path = CGROUP / "memory.stat"
    lines = path.read_text().splitlines() if path.is_file() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
