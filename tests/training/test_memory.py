"""Available and peak memory, and a limit that fails before the system kills."""

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.training import memory

GB = 10**9


def test_peaks_are_measured_and_work_beyond_the_limit_fails():
    processes = Processes()
    limit = memory.limit(processes)
    with memory.track_peak(processes, limit) as small:
        torch.ones(1000)
    with memory.track_peak(processes, limit) as large:
        torch.ones(75_000_000)
    assert 250e6 < large.bytes - small.bytes < 450e6
    with pytest.raises(memory.MemoryLimitError), memory.track_peak(processes, small.bytes + 200_000_000):
        torch.ones(1_000_000_000)
    torch.ones(75_000_000)  # the limit is gone
    with pytest.raises(RuntimeError, match="shape"), memory.track_peak(processes, limit):
        torch.ones(3).reshape(2, 2)


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
