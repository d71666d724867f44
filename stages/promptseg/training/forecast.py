"""What a run takes on this machine: memory at the peak of a step, time, and disk for the features.

Steps with one picture and with two are measured, and more follow from these. No weight is changed by them, and nothing
that a training draws at random.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from promptseg.core.devices import Processes
from promptseg.inference import embedding_cache
from promptseg.training import memory
from promptseg.training.running_metrics import Sums
from promptseg.training.setup import Setup
from promptseg.training.training_split import Asked

LOOKED_AT = 64  # pictures, of which those that are asked most are measured
MOMENTS = 2  # numbers that Adam keeps for each weight


@dataclass(frozen=True)
class Plan:
    """peaks: bytes at the peak of a step with one picture and with two, None where that is more than `limit`, the bytes
    that there may be; steps: its seconds; encode, check: seconds to encode a picture for the cache, and to measure on
    it; pictures: to learn from, to measure on, to encode first; disk: bytes that these take; free: bytes; world:
    processes, which share a batch."""

    world: int
    epochs: int
    peaks: tuple[int | None, int | None]
    limit: int
    steps: tuple[float, float]
    encode: float
    check: float
    pictures: tuple[int, int, int]
    disk: int
    free: int

    def peak(self, batch: int) -> int | None:
        """Bytes of a process for such a batch; None where that cannot be told, as two pictures are too many."""
        share, (one, two) = math.ceil(batch / self.world), self.peaks
        if share == 1 or one is None:
            return one
        return None if two is None else _line(one, two, share)

    def goes(self, batch: int) -> bool:
        """Whether such a batch fits into memory."""
        peak = self.peak(batch)
        return peak is not None and peak <= self.limit

    @property
    def stores(self) -> bool:
        """Whether the features fit on the disk."""
        return self.disk <= embedding_cache.ROOM * self.free

    def text(self, batch: int) -> str:
        """A line for each of these, for such a batch."""
        train, val, missing = self.pictures
        peak = self.peak(batch)
        held = size(peak) if peak is not None else f"more than {size(self.limit)}"
        lines = [
            f"pictures  {train:,} to learn from, {val:,} to measure on",
            f"memory    {held} at the peak of a batch of {batch}; there may be {size(self.limit)}",
        ]
        if not math.isnan(self.check):
            first = self.encode * missing / self.world
            epoch = train / batch * _line(*self.steps, math.ceil(batch / self.world)) + val * self.check / self.world
            once = f"{duration(first)} to encode {missing:,} pictures, then " if missing else ""
            whole = f"{duration(first + self.epochs * epoch)} for {self.epochs} epochs"
            lines.append(f"time      {once}{duration(epoch)} an epoch, {whole}")
        if missing:
            lines.append(f"disk      {size(self.disk)} for their features; {size(self.free)} are free")
        return "\n".join(lines)


def measure(ready: Setup, cache: Path, processes: Processes) -> Plan:
    """What a run takes that is set up so; of several processes, what the one with the least room says."""
    train, val = ready.splits
    limit, missing = memory.limit(processes), sum(split.missing(ready.digest, cache) for split in ready.splits)
    taken = [train.take(i, 1) for i in sorted({len(train) * i // LOOKED_AT for i in range(LOOKED_AT)})] * 2
    busiest = sorted(taken, key=lambda one: -len(one.prompts))
    peaks, steps, encode, check, disk = [None, None], [math.nan, math.nan], math.nan, math.nan, 0
    try:
        with memory.watched(processes, limit), torch.no_grad():
            disk = missing * embedding_cache.size(train.features(taken[:1]))
            encode = _seconds(lambda: train.features(taken[:1]), processes)
            if train.frozen:
                train.hold([*busiest[:2], *taken[:2]])
        for i, count in enumerate((1, 2)):
            with memory.watched(processes, limit) as peak:
                _step(ready, busiest[:count])
            peaks[i] = peak.bytes + _moments(ready)
            steps[i] = _seconds(lambda count=count: _step(ready, taken[:count]), processes)
            if i == 0:
                check = _seconds(lambda: _check(ready, taken[:1]), processes)
    except memory.Exhausted:
        pass
    train.hold(None)
    if val.frozen and not train.frozen:
        check = max(check - encode, 0.0)  # what is measured on is encoded once
    where = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    plan = Plan(
        processes.world, sum(phase.epochs for phase in ready.phases), tuple(peaks), limit, tuple(steps), encode, check,
        (len(train), len(val), missing), disk, shutil.disk_usage(where).free,
    )  # fmt: skip
    return min(processes.gather(plan), key=lambda each: each.limit - (each.peaks[0] or math.inf))


def size(bytes: int) -> str:
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e8 else f"{bytes / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _line(one: float, two: float, count: int) -> float:
    return one + (count - 1) * max(two - one, 0)


def _moments(ready: Setup) -> int:
    """Bytes that the optimizer keeps, and the average of the weights; gradients are there while a step is measured."""
    learned = set(ready.learned)
    numbers = sum(value.numel() for name, value in ready.segmenter.named_parameters() if name in learned)
    return 4 * numbers * (MOMENTS + (ready.settings.ema is not None))


def _step(ready: Setup, asked: list[Asked]) -> None:
    """Forward and back, as the last phase learns."""
    ready.segmenter.train()
    losses = ready.phases[-1].losses(ready.splits[0], asked, 1, Sums())
    if losses:
        torch.cat(losses).sum().backward()
    ready.segmenter.zero_grad()


@torch.no_grad()
def _check(ready: Setup, asked: list[Asked]) -> None:
    ready.segmenter.eval()
    ready.phases[-1].losses(ready.splits[0], asked, 0, Sums())


def _seconds(work: Callable[[], object], processes: Processes) -> float:
    begun = time.perf_counter()
    work()
    if processes.device.type == "cuda":
        torch.cuda.synchronize(processes.device)
    return time.perf_counter() - begun
