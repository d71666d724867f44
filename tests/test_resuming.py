"""A run that is killed and started again ends with the bytes of an unbroken one; nothing else is gone on from."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killed import made, train
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.checkpoint_manager import CheckpointManager


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "EVERY", 0.0)


@pytest.fixture
def folder(blobs, tmp_path):
    """What killed.py trains on."""
    model = models.load("autoencoder").create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict())
    blobs("train", 6), blobs("val", 2, seed=1)
    return tmp_path


def test_twenty_kills_at_random_moments_change_no_byte(folder, root):
    env = {**os.environ, "PYTHONPATH": str(root / "stages")}
    command = [sys.executable, str(root / "tests/killed.py"), str(folder), "20"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    ended, gone_on = map(int, re.findall(r"\d+", done.stdout))
    assert ended >= 1 and gone_on >= 5
    assert sorted(path.name for path in folder.iterdir() if "broken" in path.name) == ["broken", "broken.csv"]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_kill_before_a_write_changes_no_byte(folder, monkeypatch):
    """Each write, removal and rename of an output or a state is a chance to be killed; every third is taken."""
    settings = {"epochs": 3, "pretrain": 1, "batch": 6}
    train(folder, "whole", **settings)
    left = [0]

    def dying(real):
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
                patch.setattr(module, name, dying(getattr(module, name)))
            with contextlib.suppress(Killed):
                train(folder, "broken", **settings)
                whole = True
        train(folder, "broken", **settings)
        assert made(folder, "broken") == made(folder, "whole"), number
        if whole:
            break
    assert number >= 18


def state(folder: Path, inputs: dict) -> CheckpointManager:
    return CheckpointManager(folder, inputs, lambda folder, learned: weights.write(folder, {}, learned), Processes())


def test_what_was_written_comes_back_and_older_states_go(tmp_path):
    one = state(tmp_path / "s", {"seed": 0})
    assert one.read() == ([], {}, {})
    for epoch in (1, 2, 3):
        if epoch == 2:
            one.hold(2, {"a": torch.ones(2)})
        rows = [{"epoch": number, "loss": 0.1 + number / 3} for number in range(1, epoch + 1)]
        one.write(rows, {"a": torch.full((2,), float(epoch))}, {"step.a": torch.tensor(3.0)})
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["best-0002", "epoch-0003"]
    found, learned, steps = one.read()
    assert found == rows and learned["a"].tolist() == [3, 3] and steps["step.a"] == 3
    one.remove()
    assert not (tmp_path / "s").exists() and one.read() == ([], {}, {})


def test_the_state_of_other_inputs_is_not_used_and_goes(tmp_path):
    state(tmp_path / "s", {"seed": 0}).write([{"epoch": 7}], {}, {})
    other = state(tmp_path / "s", {"seed": 1})
    assert other.read() == ([], {}, {})
    other.write([{"epoch": 1}], {}, {})
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["epoch-0001"]


def test_epochs_that_pass_quickly_are_not_all_written(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoint_manager, "EVERY", 10.0)
    monkeypatch.setattr(checkpoint_manager.time, "monotonic", lambda: clock[0])
    one, found = state(tmp_path / "s", {}), []
    for epoch in range(1, 8):
        clock[0] += 4.0
        one.write([{"epoch": epoch}], {}, {})
        found.append([row["epoch"] for row in one.read()[0]])
    assert found == [[], [], [3], [3], [3], [6], [6]]


@pytest.mark.parametrize("spoilt", ["epoch-0002", "best-0001"])
def test_a_damaged_state_is_not_used(spoilt, tmp_path):
    one = state(tmp_path / "s", {})
    one.hold(1, {"a": torch.ones(2)})
    one.write([{"epoch": 1}, {"epoch": 2}], {"a": torch.ones(2)}, {})
    path = tmp_path / "s" / spoilt / weights.TENSORS
    path.write_bytes(path.read_bytes()[:-1])
    assert one.read() == ([], {}, {})


def test_other_settings_seeds_and_pictures_start_anew(folder, blobs, monkeypatch, capsys):
    monkeypatch.setattr(CheckpointManager, "remove", lambda self: None)  # as if it were killed at its very end
    small = {"epochs": 2, "pretrain": 0, "batch": 6}
    train(folder, "w", **small)
    train(folder, "w", **small)
    assert "training goes on after epoch 2" in capsys.readouterr().err
    train(folder, "w", **small, seed=1)
    train(folder, "w", **small | {"lr": 1e-3})
    blobs("val", 2, seed=5)
    train(folder, "w", **small | {"lr": 1e-3})
    assert "goes on" not in capsys.readouterr().err
