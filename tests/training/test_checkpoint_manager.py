"""A run that is killed and started again ends with the bytes of an unbroken one; it resumes from nothing else."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import Checkpoint, CheckpointManager
from toy_training import STATEFUL, Killed, make_run, train_toy


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """A checkpoint after each epoch, however short."""
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)


@pytest.fixture
def manager(tmp_path):
    """Makes a manager of checkpoints in the folder `s`."""

    def make(**inputs) -> CheckpointManager:
        return CheckpointManager(tmp_path / "s", inputs, write_weights, Processes())

    return make


def write_weights(folder: Path, tensors: dict, threshold: float | None) -> None:
    weights.write(folder, {"threshold": threshold}, tensors)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def half_a_write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])


def half_a_removal(folder: Path, **_) -> None:
    for path in sorted(folder.iterdir())[:1]:
        path.unlink() if path.is_file() else shutil.rmtree(path)


def nothing(*_, **__) -> None:
    pass


def test_a_kill_during_any_write_changes_no_byte(tmp_path, monkeypatch):
    """Each write, removal and rename of an output or a checkpoint is interrupted once, halfway where it can be."""

    def train(out: str) -> tuple[bytes, str]:
        return train_toy(make_run(pretext=1, **STATEFUL | {"epochs": 2}), tmp_path, out)

    monkeypatch.setattr(os, "fsync", nothing)  # it takes most of the time, and a kill is no power failure
    left = [0]

    def killed(real, half):
        def instead(*args, **named):
            left[0] -= 1
            if left[0] >= 0:
                return real(*args, **named)
            if left[0] == -1:  # later ones are of code that a kill would not let run
                half(*args, **named)
            raise Killed

        return instead

    whole, finished, number = train("whole"), False, 0
    while not finished:
        left[0], number = number, number + 1
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            for module, name, half in (
                (os, "replace", nothing), (Path, "unlink", nothing), (Path, "write_bytes", half_a_write),
                (shutil, "rmtree", half_a_removal),
            ):  # fmt: skip
                patch.setattr(module, name, killed(getattr(module, name), half))
            train("broken")
            finished = True
        assert train("broken") == whole, number
    assert number > 25 and names(tmp_path) == ["broken", "broken.csv", "whole", "whole.csv"]


def test_the_latest_checkpoint_is_read_back_and_older_ones_are_removed(manager, tmp_path):
    checkpoints = manager(seed=0)
    assert checkpoints.load() == Checkpoint() == Checkpoint([], {}, {}) and not checkpoints.exists()
    for epoch in (1, 2, 3):
        if epoch == 2:
            checkpoints.keep_best(2, {"a": torch.ones(2)}, 0.5)
        rows = [{"epoch": number, "loss": 0.1 + number / 3} for number in range(1, epoch + 1)]
        parameters = {"a": torch.full((2,), float(epoch))}
        checkpoints.save(Checkpoint(rows, parameters, {"step.a": torch.tensor(3.0)}))
    assert names(tmp_path / "s") == ["best-0002", "epoch-0003"]
    loaded = checkpoints.load()
    assert loaded.rows == rows and loaded.parameters["a"].tolist() == [3, 3] and loaded.optimizer["step.a"] == 3
    assert checkpoints.exists()
    restarted = manager(seed=0)
    restarted.load()
    assert restarted.best_folder() == tmp_path / "s/best-0002"
    checkpoint_manager.remove(tmp_path / "s")
    assert not (tmp_path / "s").exists() and checkpoints.load() == Checkpoint()


def test_the_best_weights_are_a_copy_and_are_written_when_needed(manager, tmp_path):
    checkpoints, weight = manager(), torch.ones(2)
    assert checkpoints.best_folder() is None
    checkpoints.keep_best(4, {"a": weight}, 0.5)
    weight += 1
    assert not (tmp_path / "s").exists()
    assert checkpoints.best_folder() == tmp_path / "s/best-0004"
    assert weights.read(tmp_path / "s/best-0004")[1]["a"].tolist() == [1, 1]


def test_checkpoints_of_other_inputs_are_not_used_and_are_removed(manager, tmp_path):
    manager(seed=0).save(Checkpoint([{"epoch": 7}]))
    other = manager(seed=1)
    assert other.load() == Checkpoint() and not other.exists()
    other.save(Checkpoint([{"epoch": 1}]))
    assert names(tmp_path / "s") == ["epoch-0001"]


def test_an_older_checkpoint_stays_until_a_newer_one_is_complete(manager, monkeypatch):
    def killed(*_):
        raise Killed

    checkpoints = manager()
    checkpoints.save(Checkpoint([{"epoch": 1}]))
    monkeypatch.setattr(weights, "write", killed)
    with pytest.raises(Killed):
        checkpoints.save(Checkpoint([{"epoch": 2}]))
    assert checkpoints.load().rows == [{"epoch": 1}]


def test_short_epochs_are_not_all_saved(manager, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 10.0)
    monkeypatch.setattr(checkpoint_manager.time, "monotonic", lambda: clock[0])
    checkpoints, saved = manager(), []
    for epoch in range(1, 8):
        clock[0] += 4.0
        checkpoints.save(Checkpoint([{"epoch": epoch}]))
        saved.append([row["epoch"] for row in checkpoints.load().rows])
    assert saved == [[], [], [3], [3], [3], [6], [6]]


@pytest.mark.parametrize("damaged", ["epoch-0002", "best-0001"])
def test_a_damaged_checkpoint_is_not_used(damaged, manager, tmp_path):
    checkpoints = manager()
    checkpoints.keep_best(1, {"a": torch.ones(2)}, 0.5)
    checkpoints.save(Checkpoint([{"epoch": 1}, {"epoch": 2}], {"a": torch.ones(2)}))
    path = tmp_path / "s" / damaged / weights.TENSORS
    path.write_bytes(path.read_bytes()[:-1])
    assert checkpoints.load() == Checkpoint()
