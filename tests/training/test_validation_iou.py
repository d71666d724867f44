"""`val_iou` is what the run would score if the validation split were the test split; by it the best epoch is chosen."""

import numpy as np
import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.runs import FineTune
from promptseg.data import records
from promptseg.inference import prediction
from promptseg.models.unet import Unet
from promptseg.training import checkpoint_manager
from promptseg.training.record_split import RecordSplit
from promptseg.training.running_metrics import MetricSums
from promptseg.training.setup import Job, set_up
from tiny_training import make_inputs, make_job, train_tiny


def job(model: str, prompt: dict, train_prompt: dict, **train) -> Job:
    """One epoch of a run whose prompt in the test is not that of training."""
    train = {"prompt": train_prompt, "epochs": 1, "lr": 2e-3, **train}
    run = {"dataset": "em", "model": model, "prompt": prompt, "train": train}
    return Job(FineTune.model_validate(run), None, 0)


def mean_iou(split, predictions) -> float:
    """Mean IoU at a threshold of 0.5 over the images with a disc, of masks compared pixel by pixel."""
    ious = []
    for record, row in zip(records.open_split(split), records.open_predictions(predictions), strict=True):
        target, mask = records.mask(record) == 1, records.unpack(row, 1)[0] >= 128
        if target.any():
            ious.append(np.sum(target & mask) / np.sum(target | mask))
    return float(np.mean(ious))


@pytest.mark.parametrize(
    "model, prompt, train_prompt, settings",
    [
        ("sam", {"box": True, "per": "instance"}, {"points": 1}, {}),
        ("sam", {"points": 1}, {"points": 1}, {"trainable": ["lora", "mask_decoder"], "ema_decay": 0.5}),
        ("clipseg", {"text": ["bright disc"]}, {"text": ["disc"]}, {}),
        ("unet", {}, {}, {}),
    ],
    ids=["another prompt", "trained encoder", "another phrase", "no prompt"],
)
def test_it_is_the_score_of_the_trained_weights_on_the_validation_split(
    blobs, tmp_path, model, prompt, train_prompt, settings
):
    inputs = make_inputs(blobs, tmp_path, model, 4)
    inputs.val.unlink()
    blobs("val", 4, seed=1, size=(50, 70), empty=(1,))
    run = job(model, prompt, train_prompt, **settings)
    curve, _ = train_tiny(run, inputs, tmp_path)
    paths = prediction.Inputs(inputs.val, inputs.checkpoint, inputs.cache, tmp_path / "w")
    prediction.predict(run.run, paths, tmp_path / "p.parquet")
    assert curve.val_iou[0] == pytest.approx(mean_iou(inputs.val, tmp_path / "p.parquet"), abs=2e-6)
    assert 0 < curve.val_iou[0] < 1


def test_a_phrase_that_was_predicted_with_may_be_trained_with_afterwards(blobs, tmp_path):
    """Embeddings of phrases are cached, and tensors that are made in inference mode cannot be trained with."""
    inputs, phrases = make_inputs(blobs, tmp_path, "clipseg", 2, 1), {"text": ["disc"]}
    run = set_up(job("clipseg", phrases, phrases), inputs, Processes()).training
    run.validation.predict(run.segmenter, lambda: run.val_split.features([run.val_split.take(0, 0)]), 0)
    (losses,) = run.phases[0].compute_losses(run.train_split, [run.train_split.take(0, 1)], 1, MetricSums())
    losses.sum().backward()
    assert any(value.grad is not None and value.grad.any() for value in run.segmenter.parameters())


def test_automatic_masks_are_generated_and_matched_as_in_the_test(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "sam", 2, 2)
    automatic = {"automatic": {"points": 4, "iou": 0.0, "stability": 0.01}}
    curve, _ = train_tiny(job("sam", automatic, {"points": 1}), inputs, tmp_path)
    assert 0 <= curve.val_iou[0] <= 1


def test_without_ground_truth_it_is_empty_and_the_last_epoch_is_saved(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "unet", 2)
    inputs.val.unlink()
    blobs("val", 1, empty=(0,))
    curve, last = train_tiny(make_job("unet", epochs=2), inputs, tmp_path)
    assert curve.val_iou.isna().all() and curve.val_loss.notna().all()
    _, best = train_tiny(make_job("unet", epochs=2, keep="last"), inputs, tmp_path, "last")
    assert all(torch.equal(value, best[name]) for name, value in last.items())


def test_an_image_is_encoded_once_for_loss_and_prediction(blobs, tmp_path, monkeypatch):
    encoded, real = [], Unet.encode
    monkeypatch.setattr(Unet, "encode", lambda self, images: encoded.append(len(images)) or real(self, images))
    train_tiny(make_job("unet", epochs=2), make_inputs(blobs, tmp_path, "unet", 4, 3), tmp_path)
    assert sum(encoded) == 2 * (4 + 3)


def test_features_are_held_in_the_context_alone_and_in_full_precision(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "unet", 3)
    setup = set_up(make_job("unet"), inputs, Processes())
    split: RecordSplit = setup.train_split
    items, encode, calls = [split.take(i, 1) for i in range(3)], split.segmenter.encode, []
    split.segmenter.encode = lambda images: calls.append(torch.is_autocast_enabled("cpu")) or encode(images)
    expected = split.features(items)
    with split.holding_features(), torch.autocast("cpu", torch.bfloat16):
        held = split.features(items[1:])
        again = split.features([items[2], items[0]])
    assert calls == [False, False, False]  # before; of two; of the one that was missing
    for name, values in expected.items():
        assert torch.equal(held[name], values[1:]) and torch.equal(again[name], values[[2, 0]])
    split.features(items)
    assert len(calls) == 4


def test_a_run_with_another_prompt_in_the_test_is_not_resumed(blobs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_manager, "remove", lambda folder: None)  # as if killed at its end
    inputs = make_inputs(blobs, tmp_path, "sam", 2, 2)
    for prompt, resumed in (({"points": 1}, False), ({"points": 1}, True), ({"box": True}, False)):
        train_tiny(job("sam", prompt, {"points": 1}), inputs, tmp_path)
        assert ("resuming after epoch" in capsys.readouterr().err) is resumed
