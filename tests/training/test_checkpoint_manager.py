"""A run that is killed and started again ends with the bytes of an unbroken one; it resumes from nothing else."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kill_training import output_bytes, train
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import Checkpoint, CheckpointManager


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """A checkpoint after each epoch, however short."""
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)


@pytest.fixture
def folder(blobs, tmp_path):
    """What kill_training.py trains on."""
    model = models.load("autoencoder").create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict())
    blobs("train", 6), blobs("val", 2, seed=1)
    return tmp_path


def test_twenty_kills_at_random_moments_change_no_byte(folder, root):
    env = {**os.environ, "PYTHONPATH": str(root / "stages")}
    command = [sys.executable, str(root / "tests/training/kill_training.py"), str(folder), "20"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    ended, resumable = map(int, re.findall(r"\d+", done.stdout))
    assert ended >= 1 and resumable >= 5
    assert sorted(path.name for path in folder.iterdir() if "broken" in path.name) == ["broken", "broken.csv"]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_kill_before_a_write_changes_no_byte(folder, monkeypatch):
    """Each write, removal and rename of an output or a checkpoint is a chance to be killed; every third is taken."""
    settings = {"epochs": 3, "pretext_epochs": 1, "batch_size": 6}
    train(folder, "whole", **settings)
    left = [0]

    def killed(real):
        def instead(*args, **named):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*args, **named)

        return instead

    for number in range(0, 200, 3):
        left[0], whole = number, False
        with monkeypatch.context() as patch:
            for module, name in ((os, "replace"), (checkpoint_manager.shutil, "rmtree"), (Path, "write_bytes")):
                patch.setattr(module, name, killed(getattr(module, name)))
            with contextlib.suppress(Killed):
                train(folder, "broken", **settings)
                whole = True
        train(folder, "broken", **settings)
        assert output_bytes(folder, "broken") == output_bytes(folder, "whole"), number
        if whole:
            break
    assert number >= 18


def manager(folder: Path, inputs: dict) -> CheckpointManager:
    return CheckpointManager(folder, inputs, lambda folder, values: weights.write(folder, {}, values), Processes())


def test_the_latest_checkpoint_is_read_back_and_older_ones_are_removed(tmp_path):
    checkpoints = manager(tmp_path / "s", {"seed": 0})
    assert checkpoints.load() == Checkpoint() == Checkpoint([], {}, {}) and not checkpoints.exists()
    for epoch in (1, 2, 3):
        if epoch == 2:
            checkpoints.keep_best(2, {"a": torch.ones(2)})
        rows = [{"epoch": number, "loss": 0.1 + number / 3} for number in range(1, epoch + 1)]
        parameters = {"a": torch.full((2,), float(epoch))}
        checkpoints.save(Checkpoint(rows, parameters, {"step.a": torch.tensor(3.0)}))
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["best-0002", "epoch-0003"]
    loaded = checkpoints.load()
    assert loaded.rows == rows and loaded.parameters["a"].tolist() == [3, 3] and loaded.optimizer["step.a"] == 3
    assert checkpoints.exists()
    checkpoints.remove()
    assert not (tmp_path / "s").exists() and checkpoints.load() == Checkpoint()


def test_the_best_weights_are_a_copy_and_are_written_when_needed(tmp_path):
    checkpoints, weight = manager(tmp_path / "s", {}), torch.ones(2)
    assert checkpoints.best_folder() is None
    checkpoints.keep_best(4, {"a": weight})
    weight += 1
    assert not (tmp_path / "s").exists()
    assert checkpoints.best_folder() == tmp_path / "s/best-0004"
    assert weights.read(tmp_path / "s/best-0004")[1]["a"].tolist() == [1, 1]


def test_the_best_epoch_is_known_after_a_restart(tmp_path):
    first = manager(tmp_path / "s", {})
    first.keep_best(1, {"a": torch.ones(2)})
    first.save(Checkpoint([{"epoch": 1}, {"epoch": 2}]))
    second = manager(tmp_path / "s", {})
    second.load()
    assert second.best_folder() == tmp_path / "s/best-0001"


def test_checkpoints_of_other_inputs_are_not_used_and_are_removed(tmp_path):
    manager(tmp_path / "s", {"seed": 0}).save(Checkpoint([{"epoch": 7}]))
    other = manager(tmp_path / "s", {"seed": 1})
    assert other.load() == Checkpoint()
    other.save(Checkpoint([{"epoch": 1}]))
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["epoch-0001"]


def test_short_epochs_are_not_all_saved(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 10.0)
    monkeypatch.setattr(checkpoint_manager.time, "monotonic", lambda: clock[0])
    checkpoints, saved = manager(tmp_path / "s", {}), []
    for epoch in range(1, 8):
        clock[0] += 4.0
        checkpoints.save(Checkpoint([{"epoch": epoch}]))
        saved.append([row["epoch"] for row in checkpoints.load().rows])
    assert saved == [[], [], [3], [3], [3], [6], [6]]


@pytest.mark.parametrize("damaged", ["epoch-0002", "best-0001"])
def test_a_damaged_checkpoint_is_not_used(damaged, tmp_path):
    checkpoints = manager(tmp_path / "s", {})
    checkpoints.keep_best(1, {"a": torch.ones(2)})
    checkpoints.save(Checkpoint([{"epoch": 1}, {"epoch": 2}], {"a": torch.ones(2)}))
    path = tmp_path / "s" / damaged / weights.TENSORS
    path.write_bytes(path.read_bytes()[:-1])
    assert checkpoints.load() == Checkpoint()


def test_other_settings_seeds_and_images_start_from_the_beginning(folder, blobs, monkeypatch, capsys):
    monkeypatch.setattr(CheckpointManager, "remove", lambda self: None)  # as if it were killed at its very end
    small = {"epochs": 2, "pretext_epochs": 0, "batch_size": 6}
    train(folder, "w", **small)
    train(folder, "w", **small)
    assert "resuming after epoch 2" in capsys.readouterr().err
    train(folder, "w", **small, seed=1)
    train(folder, "w", **small | {"lr": 1e-3})
    blobs("val", 2, seed=5)
    train(folder, "w", **small | {"lr": 1e-3})
    assert "resuming" not in capsys.readouterr().err
