"""TensorBoard events of a training: the curve, and weights that do not depend on them."""

import importlib.util

import pytest
from promptseg.core.errors import UserError
from promptseg.training import checkpoint_manager, event_log
from tiny_training import make_inputs, make_job, train_tiny


def scalars(folder):
    """(epoch, value) of each scalar, by name."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_events_are_the_curve_and_change_no_weights(blobs, tmp_path):
    pytest.importorskip("tensorboard")
    inputs = make_inputs(blobs, tmp_path, "unet")
    train_tiny(make_job("unet"), inputs, tmp_path, "plain")
    for epochs in (3, 2):  # the second training of a run replaces the events of the first
        rows, _ = train_tiny(make_job("unet", log="tensorboard", epochs=epochs), inputs, tmp_path, "again")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    found = scalars(tmp_path / "again.state.tensorboard")
    assert not (tmp_path / "plain.state.tensorboard").exists() and found["val_iou"][0][0] == 1
    for name, values in found.items():
        assert [value for _, value in values] == pytest.approx(list(rows[name]), rel=1e-5)


def test_a_resumed_training_has_each_epoch_once(blobs, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_manager, "remove", lambda folder: None)  # as if killed at its end
    inputs = make_inputs(blobs, tmp_path, "unet")
    for _ in range(2):
        train_tiny(make_job("unet", log="tensorboard"), inputs, tmp_path)
    assert [epoch for epoch, _ in scalars(tmp_path / "w.state.tensorboard")["loss"]] == [1, 2]


def test_what_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    event_log.check(None)
    with pytest.raises(UserError, match="TensorBoard is not installed: `pip install tensorboard`"):
        event_log.check("tensorboard")
