"""Fine-tuning end to end: tiny models, the stage, several processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from promptseg import models
from promptseg.models.sam import Sam
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.curve import COLUMNS
from tiny_training import PROMPTS, make_inputs, make_job, train_tiny

TRAINABLE = {
    "sam": "mask_decoder", "sam2": "mask_decoder", "clipseg": "decoder", "unet": "all", "unet_box": "all",
    "autoencoder": "all", "clip_decoder_cnn": "decoder", "clip_decoder_unet": "decoder",
    "clip_decoder_transformer": "decoder", "medsam": "mask_decoder", "pa_sam": "adapter",
}  # fmt: skip


@pytest.fixture
def trained(blobs, tmp_path):
    """Trains a tiny model of that name; returns the curve and the trained tensors."""

    def train(name: str, count: int = 4, val: int = 2, out: str = "w", empty: tuple[int, ...] = (), **settings):
        inputs = make_inputs(blobs, tmp_path, name, count, val, empty=empty)
        return train_tiny(make_job(name, **settings), inputs, tmp_path, out)

    return train


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_the_loss_falls_and_frozen_parameters_are_not_saved(name, trained):
    curve, tensors = trained(name, count=6, epochs=4, lr=2e-3, batch_size=2, loss="dice", trainable=[TRAINABLE[name]])
    assert list(curve.columns) == list(COLUMNS) and list(curve.epoch) == [1, 2, 3, 4]
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    prefixes = models.load(name).TRAINABLE[TRAINABLE[name]]
    assert tensors and all(key.startswith(prefixes) for key in tensors)


def test_settings_that_are_left_out_are_those_of_the_model(trained, tmp_path):
    curve, tensors = trained("sam", epochs=1)
    assert curve.lr[0] == 1e-4 and all(key.startswith("network.mask_decoder.") for key in tensors)
    assert weights.read(tmp_path / "w")[0] == {
        "model": "sam", "checkpoint": weights.digest(tmp_path / "c"), "trained_parameters": sorted(tensors),
        "classes": ["disc"], "images": 4, "threshold": 0.5, "train": {
            "prompt": {"points": 1}, "epochs": 1, "trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4,
            "batch_size": 2,
        },
    }  # fmt: skip


def test_images_without_the_class_are_left_out_by_oracle_prompts_and_there_may_be_no_validation_split(trained):
    curve, tensors = trained("sam", val=0, empty=(0, 1), epochs=1)
    assert np.isfinite(curve.loss[0]) and curve.val_iou.isna().all() and tensors


def test_the_loss_falls_in_bf16_and_weights_stay_fp32(trained):
    curve, tensors = trained("sam", epochs=4, lr=2e-3, precision="bf16")
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    assert all(value.dtype == torch.float32 for value in tensors.values())


@pytest.mark.parametrize("settings", [{"trainable": ["lora"]}, {"augment": {"rotate": 10.0}}])
def test_features_that_change_by_epoch_are_not_cached(settings, trained, monkeypatch, tmp_path):
    encoded, real = [], Sam.encode
    monkeypatch.setattr(Sam, "encode", lambda self, images: encoded.append(len(images)) or real(self, images))
    trained("sam", **settings)
    caches = list((tmp_path / "embeddings").glob("sam-*/about.json"))
    if "trainable" in settings:
        assert sum(encoded) == 2 * (4 + 2) and caches == []
    else:  # the validation split is not augmented, so it is encoded once; and once more, to allocate the cache
        assert sum(encoded) - 2 * 4 in (2, 3) and len(caches) == 1


def test_augmented_epochs_differ_and_the_same_seed_gives_the_same_bytes(trained, tmp_path):
    augment = {"flip": ["horizontal", "vertical"], "rotate": 90.0}
    for out in "ab":
        trained("autoencoder", out=out, augment=augment)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    plain, _ = trained("autoencoder")
    assert not np.allclose(pd.read_csv(tmp_path / "a.csv").loss, plain.loss, rtol=1e-6)


def test_a_run_resumes_from_checkpoints_of_the_same_settings_seed_and_images_alone(trained, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_manager, "remove", lambda folder: None)  # as if killed at its end
    settings = {}
    trained("autoencoder")
    for changed in ({}, {"seed": 1}, {"lr": 2e-3}, {"max_epochs": 1}, {"val": 3}, {"count": 3}):
        settings |= changed
        trained("autoencoder", **settings)
        assert ("resuming after epoch" in capsys.readouterr().err) is (not changed), changed


EVERYTHING = {
    "trainable": ["lora", "mask_decoder"], "grad_accumulation_steps": 2, "max_grad_norm": 0.5, "ema_decay": 0.5,
    "optimizer": "adamw", "warmup": 0.3, "schedule": "cosine", "weight_decay": 0.01, "augment": {}, "batch_size": 2,
    "epochs": 3, "lr": 1e-3,
}  # fmt: skip
# The stage, with a checkpoint after each epoch, however short; the second process may be killed in the third epoch.
STAGE = """
import os, runpy, signal
from promptseg.training import checkpoint_manager, epochs

def validate(*args, epochs_left=[3]):
    epochs_left[0] -= 1
    if epochs_left == [0] and os.environ["RANK"] == os.environ["KILLED"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)

checkpoint_manager.SAVE_INTERVAL, real, epochs.validate = 0.0, epochs.validate, validate
runpy.run_path({script!r}, run_name="__main__")
"""


def test_processes_train_the_same_up_to_the_order_of_sums_and_resume_after_one_is_killed(blobs, tmp_path, root):
    """The gradients of a global batch are summed over processes: floats in another order, so not bit for bit."""
    job = make_job("sam", **EVERYTHING)
    inputs = make_inputs(blobs, tmp_path, "sam", 5, 3)  # odd numbers: a process gets nothing of the last batch
    one, first = train_tiny(job, inputs, tmp_path, "one")
    entry = json.dumps(job.run.model_dump(exclude_defaults=True))
    (tmp_path / "params.yaml").write_text(f"finetune: {{r: {entry}}}\n")
    (tmp_path / "stage.py").write_text(STAGE.format(script=str(root / "stages/finetune.py")))
    paths = [str(inputs.train), str(inputs.val), "c", "embeddings2", "two.state", "two", "two.csv"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "stage.py", "r"]

    def launch(killed: str) -> tuple[int, str]:
        env = {**os.environ, "PYTHONPATH": str(root / "stages"), "KILLED": killed}
        done = subprocess.run([*command, *paths], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr

    code, text = launch("1")
    assert code == 1 and "Signal 9 (SIGKILL) received" in text, text[-2000:]  # torchrun's report
    assert "in finish" not in text and not (tmp_path / "two").exists()  # no traceback of ours
    code, text = launch("nobody")
    assert code == 0 and "resuming after epoch 2" in text, text[-2000:]
    two, (_, second) = pd.read_csv(tmp_path / "two.csv"), weights.read(tmp_path / "two")
    np.testing.assert_allclose(one.loss, two.loss, atol=1e-5)
    np.testing.assert_allclose(one.val_loss, two.val_loss, atol=1e-4)
    # Adam divides by a gradient's own size, so where that is next to nothing its sign decides a whole step of lr.
    difference = torch.cat([(first[key] - second[key]).abs().flatten() for key in first])
    assert (difference > 1e-5).float().mean() < 0.02 and difference.max() <= 2 * 6 * 1e-3
