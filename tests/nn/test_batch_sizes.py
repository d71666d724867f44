"""Batch sizes: fixed on a CPU, by memory on a GPU."""

import pytest
import torch
from promptseg.nn import batch_sizes

GB = 1 << 30


@pytest.mark.parametrize(
    "needed, free, most, count",
    [(GB, 32 * GB, 64, 16), (GB, 31 * GB, 64, 8), (GB, 500 * GB, 64, 64), (GB, GB, 64, 1), (0, GB, 6, 4), (9, 0, 9, 1)],
)
def test_a_batch_is_a_power_of_two_that_fits_into_its_share_of_the_memory(needed, free, most, count):
    assert batch_sizes.fitting(needed, free, most) == count


def test_a_cpu_encodes_nothing_to_choose_a_batch():
    for side, count in ((1024, 1), (352, 8), (4096, 1)):
        assert batch_sizes.images(pytest.fail, side, torch.device("cpu")) == count


def test_a_gpu_measures_one_image_after_a_first_one(monkeypatch):
    """Three calls of torch.cuda stand for a GPU of 80 GB, 8 of which hold the weights."""
    held, peak, calls = 8 * GB, [0], []

    def encode():
        calls.append(peak[0])
        peak[0] = held + (9 if len(calls) == 1 else 3) * GB  # the first call needs more, for workspaces

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: peak.__setitem__(0, held))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: peak[0])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: held)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: held + 9 * GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (63 * GB, 80 * GB))
    assert batch_sizes.images(encode, 1024, torch.device("cuda")) == 8  # half of 72 GB, 3 GB each
    assert calls == [0, held]
