"""Ranks: the environment of torchrun, chunks of work, and lost processes."""

import os

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.distributed import Ranks
from refusing import refused


@pytest.fixture
def rank(monkeypatch):
    """Make the ranks of torchrun's environment."""

    def make(rank, world, local):
        for key, value in {"RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": local}.items():
            monkeypatch.setenv(key, str(value))
        return Ranks()

    return make


def test_a_plain_process_is_rank_0_of_1(monkeypatch):
    for key in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(key, raising=False)
    ranks = Ranks()
    assert (ranks.rank, ranks.world, ranks.main, ranks.local_world_size) == (0, 1, True, 1)
    assert ranks.cores == len(os.sched_getaffinity(0)) and ranks.gather("value") == ["value"]


def test_processes_on_one_machine_share_its_cores(rank, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)))
    assert [rank(1, 8, local).cores for local in (1, 2, 4, 20)] == [9, 4, 2, 1]
    assert not rank(1, 8, 4).main and rank(0, 8, 4).main


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("count, size", [(0, 4), (1, 4), (20, 4), (21, 4), (5, 10)])
def test_chunks_cover_the_work_once_with_borders_that_do_not_depend_on_the_world(rank, world, count, size):
    chunks = [chunk for i in range(world) for chunk in rank(i, world, 1).chunks(count, size)]
    chunks.sort(key=lambda chunk: chunk[0])
    assert [index for chunk in chunks for index in chunk] == list(range(count))
    assert chunks == list(rank(0, 1, 1).chunks(count, size))


def test_a_lost_process_is_one_line(rank):
    def lose():
        with rank(1, 2, 2).collective():
            raise RuntimeError("closed by peer\nand more")

    refused(lose, "process 1 of 2 lost the connection ", "(closed by peer); run the same command")


def test_collective_operations_of_one_process_change_nothing():
    processes = Processes()
    assert processes.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    values = [torch.ones(2, 3), torch.tensor(4.0)]
    processes.sum(values)
    assert values[0].sum() == 6 and values[1] == 4
    processes.wait()
    processes.close()
