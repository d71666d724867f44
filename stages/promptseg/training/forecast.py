"""Forecast of the memory, time and disk that a run needs on this machine.

Steps with one image and with two are measured, and larger batches are extrapolated from these. Neither weights nor the
random numbers of a training change.
"""

import functools
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from promptseg.core.devices import Processes
from promptseg.core.units import format_bytes, format_seconds
from promptseg.inference import embedding_cache
from promptseg.training import memory
from promptseg.training.running_metrics import MetricSums
from promptseg.training.setup import Setup
from promptseg.training.training_split import TrainingItem

CANDIDATES = 64  # images, of which those with the most prompts are measured
MOMENTS = 2  # numbers that Adam holds for each weight


@dataclass(frozen=True)
class ResourceForecast:
    """Measured needs of a run.

    Attributes:
        world: number of processes, which share a batch.
        epochs: of all phases, for all seeds.
        peaks: peak memory of a step with one image and with two, in bytes; None where it exceeds `limit`.
        limit: memory that is available to a process, in bytes.
        step_seconds: of a step with one image and with two.
        encode_seconds: to encode an image for the cache.
        validate_seconds: to validate on an image.
        images: to train on, to validate on, and to encode first.
        cache_bytes: of the features that must be encoded.
        free_bytes: of the disk.
    """

    world: int
    epochs: int
    peaks: tuple[int | None, int | None]
    limit: int
    step_seconds: tuple[float, float]
    encode_seconds: float
    validate_seconds: float
    images: tuple[int, int, int]
    cache_bytes: int
    free_bytes: int

    def peak(self, batch_size: int) -> float | None:
        """Peak memory of a process in bytes; None where it is unknown, as two images exceed the limit."""
        share, (one, two) = math.ceil(batch_size / self.world), self.peaks
        if share == 1 or one is None:
            return one
        return None if two is None else _extrapolate(one, two, share)

    def fits_memory(self, batch_size: int) -> bool:
        """Whether a batch of so many images fits into memory."""
        peak = self.peak(batch_size)
        return peak is not None and peak <= self.limit

    def describe_peak(self, batch_size: int) -> str:
        """Describe the memory that a batch of so many images needs."""
        peak = self.peak(batch_size)
        return format_bytes(peak) if peak is not None else f"more than {format_bytes(self.limit)}"

    @property
    def fits_disk(self) -> bool:
        """Whether the features fit on the disk."""
        return self.cache_bytes <= embedding_cache.MAX_DISK_SHARE * self.free_bytes

    def describe(self, batch_size: int) -> str:
        """Describe the forecast for a batch of so many images, in a few lines."""
        train, val, missing = self.images
        needed = self.describe_peak(batch_size)
        lines = [
            f"images  {train:,} to train on, {val:,} to validate on",
            f"memory  {needed} at the peak of a batch of {batch_size}; {format_bytes(self.limit)} available",
        ]
        if not math.isnan(self.validate_seconds):
            encoding = self.encode_seconds * missing / self.world
            step = _extrapolate(*self.step_seconds, math.ceil(batch_size / self.world))
            epoch = train / batch_size * step + val * self.validate_seconds / self.world
            first = f"{format_seconds(encoding)} to encode {missing:,} images, then " if missing else ""
            total = f"{format_seconds(encoding + self.epochs * epoch)} for {self.epochs} epochs"
            lines.append(f"time    {first}{format_seconds(epoch)} an epoch, {total}")
        if missing:
            lines.append(f"disk    {format_bytes(self.cache_bytes)} of features; {format_bytes(self.free_bytes)} free")
        return "\n".join(lines)


def measure(setup: Setup, cache: Path, processes: Processes) -> ResourceForecast:
    """Measure what a run needs; of several processes, the one with the least available memory counts.

    Args:
        setup: the run.
        cache: folder of the embedding caches; nothing is written to it.
        processes: all of them must call this.
    """
    train, val = setup.train_split, setup.val_split
    limit = memory.limit(processes)
    missing = sum(split.count_missing(setup.checkpoint, cache) for split in (train, val))
    items = [train.take(i, 1) for i in sorted({len(train) * i // CANDIDATES for i in range(CANDIDATES)})] * 2
    largest = sorted(items, key=lambda item: -len(item.prompts))
    peaks: list[int | None] = [None, None]
    step_seconds = [math.nan, math.nan]
    encode_seconds, validate_seconds, cache_bytes = math.nan, math.nan, 0

    @torch.no_grad()
    def encode() -> tuple[int, float]:
        size = missing * embedding_cache.size(train.features(items[:1]))
        seconds = _seconds(lambda: train.features(items[:1]), processes)
        if train.cacheable:
            train.pin_features([*largest[:2], *items[:2]])
        return size, seconds

    try:
        (cache_bytes, encode_seconds), _ = memory.measured(encode, processes, limit)
        for i, count in enumerate((1, 2)):
            _, peak = memory.measured(functools.partial(_train_step, setup, largest[:count]), processes, limit)
            peaks[i] = peak + _optimizer_bytes(setup)
            step_seconds[i] = _seconds(functools.partial(_train_step, setup, items[:count]), processes)
            if i == 0:
                validate_seconds = _seconds(lambda: _validation_step(setup, items[:1]), processes)
    except memory.MemoryLimitError:
        pass
    train.unpin_features()
    if val.cacheable and not train.cacheable:
        validate_seconds = max(validate_seconds - encode_seconds, 0.0)  # validation images are encoded once
    existing = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    forecast = ResourceForecast(
        world=processes.world,
        epochs=sum(phase.epochs for phase in setup.training.phases) * len(setup.config.seeds or [0]),
        peaks=(peaks[0], peaks[1]),
        limit=limit,
        step_seconds=(step_seconds[0], step_seconds[1]),
        encode_seconds=encode_seconds,
        validate_seconds=validate_seconds,
        images=(len(train), len(val), missing),
        cache_bytes=cache_bytes,
        free_bytes=shutil.disk_usage(existing).free,
    )
    return min(processes.gather(forecast), key=lambda each: each.limit - (each.peaks[0] or math.inf))


def _extrapolate(one: float, two: float, count: int) -> float:
    return one + (count - 1) * max(two - one, 0)


def _optimizer_bytes(setup: Setup) -> int:
    """Memory of the optimizer and of averaged weights; gradients are part of a measured step."""
    trained = set(setup.training.trained_parameters)
    count = sum(value.numel() for name, value in setup.training.segmenter.named_parameters() if name in trained)
    return 4 * count * (MOMENTS + (setup.config.ema_decay is not None))


def _train_step(setup: Setup, items: list[TrainingItem]) -> None:
    """Forward and backward pass of the last phase."""
    segmenter = setup.training.segmenter
    segmenter.train()
    losses = setup.training.phases[-1].compute_losses(setup.train_split, items, 1, MetricSums())
    if losses:
        torch.cat(losses).sum().backward()
    segmenter.zero_grad()


@torch.no_grad()
def _validation_step(setup: Setup, items: list[TrainingItem]) -> None:
    run, split = setup.training, setup.train_split
    run.segmenter.eval()
    with split.holding_features():
        run.phases[-1].compute_losses(split, items, 0, MetricSums())
        if run.validation and len(run.val_split):
            run.validation.predict(run.segmenter, functools.partial(split.features, items), 0)


def _seconds(work: Callable[[], object], processes: Processes) -> float:
    start = time.perf_counter()
    work()
    if processes.device.type == "cuda":
        torch.cuda.synchronize(processes.device)
    return time.perf_counter() - start
