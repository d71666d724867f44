"""Forecast of memory, time and disk: limits, peaks, extrapolation, words, and that measuring changes nothing."""

import math
import threading
from dataclasses import replace

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.training import forecast, memory
from promptseg.training.setup import set_up
from tiny_training import FORECAST, GB, make_inputs, make_job


def test_peaks_are_measured_and_work_beyond_the_limit_fails():
    processes = Processes()
    limit = memory.limit(processes)
    _, small = memory.measured(lambda: torch.ones(1000), processes, limit)
    ones, large = memory.measured(lambda: torch.ones(75_000_000), processes, limit)
    assert len(ones) == 75_000_000 and 250e6 < large - small < 450e6
    with pytest.raises(memory.MemoryLimitError):
        memory.measured(lambda: torch.ones(1_000_000_000), processes, small + 200_000_000)
    torch.ones(75_000_000)  # the limit is gone
    with pytest.raises(RuntimeError, match="shape"):
        memory.measured(lambda: torch.ones(3).reshape(2, 2), processes, limit)


def test_on_a_cpu_work_that_may_be_refused_memory_runs_in_a_thread_of_its_own():
    """Where oneDNN got no memory for the code of one layer, it makes no further one in that thread."""
    processes, threads = Processes(), []

    def work() -> None:
        threads.append(threading.get_ident())
        raise RuntimeError("could not create a primitive")

    with pytest.raises(memory.MemoryLimitError):
        memory.measured(work, processes, memory.limit(processes))
    assert len(threads) == 1 and threads[0] != threading.get_ident()
    with pytest.raises(memory.MemoryLimitError):
        memory.measured(work, processes, memory.psutil.Process().memory_info().rss)
    assert len(threads) == 1, "nothing is started where next to nothing is free"


def test_the_limit_of_a_container_counts_and_its_page_cache_does_not(tmp_path, monkeypatch):
    processes, held = Processes(), memory.psutil.Process().memory_info().rss
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    free = memory.limit(processes)
    (tmp_path / "memory.max").write_text(f"{3 * GB}\n")
    (tmp_path / "memory.current").write_text(f"{5 * GB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {GB}\n")
    assert memory.limit(processes) - held == pytest.approx(0.8 * 1.5 * GB, abs=3e8)
    assert memory.total() == 3 * GB
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.limit(processes) == pytest.approx(free, rel=0.2)
    assert memory.total() == memory.psutil.virtual_memory().total


def test_a_batch_is_extrapolated_from_one_image_and_two():
    assert [FORECAST.peak(size) for size in (1, 2, 4, 7)] == [2 * GB, 3 * GB, 5 * GB, 8 * GB]
    assert FORECAST.fits_memory(7) and not FORECAST.fits_memory(8)
    assert replace(FORECAST, world=4).peak(16) == 5 * GB  # four images in each process
    one_fits = replace(FORECAST, peaks=(2 * GB, None))
    assert one_fits.peak(1) == 2 * GB and not one_fits.fits_memory(2)
    assert not replace(FORECAST, peaks=(None, None)).fits_memory(1)
    assert FORECAST.fits_disk and not replace(FORECAST, free_bytes=6 * GB).fits_disk


def test_the_forecast_in_words():
    assert FORECAST.describe(4).splitlines() == [
        "images  100 to train on, 20 to validate on",
        "memory  5.0 GB at the peak of a batch of 4; 8.0 GB available",
        # 120 * 4 s; 25 batches of 1 + 3 * 0.5 s and 20 * 0.5 s
        "time    8.0 min to encode 120 images, then 72.5 s an epoch, 20.1 min for 10 epochs",
        "disk    6.0 GB of features; 50.0 GB free",
    ]
    unknown = replace(FORECAST, images=(100, 20, 0), peaks=(None, None), validate_seconds=math.nan)
    assert unknown.describe(4).splitlines()[1:] == [
        "memory  more than 8.0 GB at the peak of a batch of 4; 8.0 GB available"
    ]


@pytest.mark.parametrize(
    "train, encoded", [({}, 8), ({"trainable": ["lora"]}, 0), ({"augment": {}, "ema_decay": 0.9}, 3)]
)
def test_needs_are_measured_and_no_weight_changes(train, encoded, blobs, tmp_path):
    processes, inputs = Processes(), make_inputs(blobs, tmp_path, "sam")
    setup = set_up(make_job("sam", **train), inputs, processes)
    segmenter = setup.training.segmenter
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    measured = forecast.measure(setup, inputs.cache, processes)
    assert all(torch.equal(value, before[key]) for key, value in segmenter.state_dict().items())
    assert all(parameter.grad is None for parameter in segmenter.parameters())
    assert 0 < measured.peaks[0] <= measured.limit and measured.validate_seconds >= 0
    assert min(*measured.step_seconds, measured.encode_seconds) > 0
    # The features of the tiny SAM are 64 x 32 x 32 numbers of two bytes.
    assert measured.images == (5, 3, encoded) and measured.cache_bytes == encoded * 64 * 32 * 32 * 2
    trained = sum(value.numel() for value in segmenter.parameters() if value.requires_grad)
    assert forecast._optimizer_bytes(setup) == 4 * trained * (3 if "ema_decay" in train else 2)  # Adam's, and the EMA's
    assert not inputs.cache.exists()
    for split in (setup.train_split, setup.val_split):
        split.cache_features(setup.checkpoint, inputs.cache, processes)
    again = set_up(make_job("sam", **train), inputs, processes)
    assert forecast.measure(again, inputs.cache, processes).images == (5, 3, 0)
