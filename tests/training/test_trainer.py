"""Fine-tuning end to end: tiny models, the stage, several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune
from promptseg.models.sam import Sam
from promptseg.nn import weights
from promptseg.training import trainer
from promptseg.training.curve import COLUMNS
from promptseg.training.losses import LOSSES, dice
from promptseg.training.setup import Inputs, Job
from refusing import refused

PROMPTS = {
    "sam": {"points": 1}, "sam2": {"box": True}, "clipseg": {"text": ["disc"]}, "unet": {}, "unet_box": {"box": True},
    "autoencoder": {}, "clip_decoder_cnn": {}, "clip_decoder_unet": {"text": ["disc"]},
    "clip_decoder_transformer": {"text": "class"}, "medsam": {"box": True, "jitter": 0.02}, "pa_sam": {"points": 2},
}  # fmt: skip
TRAINABLE = {
    "sam": "mask_decoder", "sam2": "mask_decoder", "clipseg": "decoder", "unet": "all", "unet_box": "all",
    "autoencoder": "all", "clip_decoder_cnn": "decoder", "clip_decoder_unet": "decoder",
    "clip_decoder_transformer": "decoder", "medsam": "mask_decoder", "pa_sam": "adapter",
}  # fmt: skip


def make_run(name: str, epochs: int = 3, lr: float = 2e-3, **train) -> FineTune:
    prompt = {"prompt": PROMPTS[name]}
    settings = {"epochs": epochs, "lr": lr, "trainable": [TRAINABLE[name]], "batch_size": 4, "loss": "dice", **prompt}
    return FineTune.model_validate({"dataset": "em", "model": name, **prompt, "train": settings | train})


@pytest.fixture
def trained(blobs, tmp_path):
    """Trains a tiny model; returns the curve, the trained tensors, and the folder."""

    def train(run: FineTune, count: int = 10, val: int = 4, max_epochs=None, out: str = "w", **images):
        model = models.load(run.model).create("tiny", 0)
        weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
        splits = blobs("train", count, **images), blobs("val", val, seed=1)
        outputs = trainer.Outputs(tmp_path / "resume", tmp_path / out, tmp_path / f"{out}.csv")
        inputs = Inputs(*splits, tmp_path / "c", tmp_path / "embeddings")
        trainer.finetune(Job(run, max_epochs, 0), inputs, outputs)
        return pd.read_csv(outputs.curve), weights.read(outputs.weights)[1], tmp_path

    return train


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_the_loss_falls_and_frozen_parameters_are_not_saved(name, trained):
    curve, tensors, _ = trained(make_run(name, epochs=5))
    assert list(curve.columns) == list(COLUMNS) and list(curve.epoch) == [1, 2, 3, 4, 5]
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    model = next(value for value in vars(models.load(name)).values() if getattr(value, "NAME", None) == name)
    assert tensors and all(key.startswith(model.TRAINABLE[TRAINABLE[name]]) for key in tensors)


def test_settings_that_are_left_out_are_those_of_the_model(trained):
    train = {"prompt": {"points": 1}, "epochs": 1}
    run = FineTune.model_validate({"dataset": "em", "model": "sam", "prompt": {"points": 1}, "train": train})
    curve, tensors, folder = trained(run, count=4, val=2)
    assert curve.lr[0] == 1e-4 and all(key.startswith("network.mask_decoder.") for key in tensors)
    config = weights.read(folder / "w")[0]
    settings = {"epochs": 1, "trainable": ["mask_decoder"], "loss": "dice", "lr": 1e-4, "batch_size": 2}
    assert config["train"] == {"prompt": {"points": 1}, **settings}
    assert (
        config["trained_parameters"] == sorted(tensors) and config["classes"] == ["disc"] and config["model"] == "sam"
    )
    assert config["checkpoint"] == weights.digest(folder / "c") and "lora" not in config


def test_the_same_seed_gives_the_same_bytes(trained):
    _, _, folder = trained(make_run("clip_decoder_cnn", epochs=2), out="a")
    trained(make_run("clip_decoder_cnn", epochs=2), out="b")
    assert (folder / "a/model.safetensors").read_bytes() == (folder / "b/model.safetensors").read_bytes()
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_the_weights_that_are_saved_with_ema_are_not_the_last_ones(trained):
    _, averages, _ = trained(make_run("clip_decoder_cnn", epochs=2, ema_decay=0.9), out="ema")
    _, plain, _ = trained(make_run("clip_decoder_cnn", epochs=2), out="plain")
    assert any(not torch.equal(value, plain[key]) for key, value in averages.items())


def test_without_a_validation_split_the_curve_has_no_validation_metrics(trained):
    curve, tensors, _ = trained(make_run("clip_decoder_cnn", epochs=2), val=0)
    assert curve.val_iou.isna().all() and tensors


def test_images_without_the_class_are_left_out_by_oracle_prompts(trained):
    curve, _, _ = trained(make_run("sam", epochs=1), empty=(0, 1, 2, 3))
    assert np.isfinite(curve.loss[0])


def test_max_epochs_shortens_but_never_lengthens(trained):
    assert len(trained(make_run("clip_decoder_cnn", epochs=3), max_epochs=1)[0]) == 1
    assert len(trained(make_run("clip_decoder_cnn", epochs=1), max_epochs=5)[0]) == 1


def test_wrong_settings_and_an_empty_split_end_in_one_line(trained):
    refused(lambda: trained(make_run("clip_decoder_cnn"), count=0), "train.parquet: no images to train on")
    unknown = make_run("clip_decoder_cnn", trainable=["head"])
    refused(lambda: trained(unknown), "clip_decoder_cnn has no trainable 'head'; known: decoder")
    refused(lambda: trained(make_run("clip_decoder_cnn", loss="iou")), "train.loss: unknown loss 'iou'", *LOSSES)
    refused(
        lambda: trained(make_run("clip_decoder_cnn", optimizer="sgd")), "unknown optimizer 'sgd'", "adam, adamw, muon"
    )


def test_a_non_finite_loss_names_the_images_and_writes_nothing(trained, monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, "dice", lambda logits, t, w: dice(logits, t, w) * float("nan"))
    with pytest.raises(UserError, match="epoch 1: the loss is not finite at images train/"):
        trained(make_run("clip_decoder_cnn"))
    assert not (tmp_path / "w").exists() and not (tmp_path / "w.csv").exists()


def test_a_loss_that_breaks_late_leaves_the_best_weights_where_it_says(trained, monkeypatch, tmp_path):
    whole, saved, _ = trained(make_run("clip_decoder_cnn", epochs=2), out="whole")
    calls = []  # an epoch has 3 batches to train on and 1 to validate on

    def broken(logits, target, weight):
        calls.append(1)
        return dice(logits, target, weight) * (float("nan") if len(calls) > 9 else 1)

    monkeypatch.setitem(LOSSES, "dice", broken)
    with pytest.raises(UserError) as error:
        trained(make_run("clip_decoder_cnn", epochs=9))
    best = f"{tmp_path}/resume/best-0002" if whole.val_iou[1] > whole.val_iou[0] else f"{tmp_path}/resume/best-0001"
    assert f"the best weights so far stay in {best} until" in str(error.value)
    assert str(error.value).startswith("epoch 3: the loss is not finite at images train/")
    assert all(torch.equal(value, saved[key]) for key, value in weights.read(Path(best))[1].items())
    assert not (tmp_path / "w").exists()


def test_the_loss_falls_in_bf16_and_weights_stay_fp32(trained):
    curve, tensors, _ = trained(make_run("sam", epochs=4, precision="bf16"))
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    assert all(value.dtype == torch.float32 for value in tensors.values())


@pytest.mark.parametrize("settings", [{"trainable": ["lora"]}, {"augment": {"rotate": 10.0}}])
def test_features_that_change_by_epoch_are_not_cached(settings, trained, monkeypatch):
    encoded, real = [], Sam.encode
    monkeypatch.setattr(Sam, "encode", lambda self, images: encoded.append(len(images)) or real(self, images))
    _, _, folder = trained(make_run("sam", epochs=2, **settings), count=6, val=2)
    caches = list((folder / "embeddings").glob("sam-*/about.json"))
    if "trainable" in settings:
        assert sum(encoded) == 2 * (6 + 2) and caches == []
    else:  # the validation split is not augmented, so it is encoded once; and once more, to allocate the cache
        assert sum(encoded) - 2 * 6 in (2, 3) and len(caches) == 1


def test_augmented_epochs_differ_and_the_same_seed_gives_the_same_weights(trained):
    run = make_run("autoencoder", epochs=2, augment={"flip": ["horizontal", "vertical"], "rotate": 90.0})
    first, tensors, _ = trained(run, out="a")
    again, same, _ = trained(run, out="b")
    plain, _, _ = trained(make_run("autoencoder", epochs=2), out="c")
    assert first.equals(again) and all(torch.equal(tensors[key], same[key]) for key in tensors)
    assert not np.allclose(first.loss, plain.loss, rtol=1e-6)


EVERYTHING = {
    "trainable": ["lora", "mask_decoder"], "grad_accumulation_steps": 2, "max_grad_norm": 0.5, "ema_decay": 0.5,
    "optimizer": "adamw", "warmup": 0.3, "schedule": "cosine", "weight_decay": 0.01, "augment": {}, "batch_size": 2,
}  # fmt: skip


# The stage, with a checkpoint after each epoch, however short.
EACH_EPOCH = """
import runpy
from promptseg.training import checkpoint_manager
checkpoint_manager.SAVE_INTERVAL = 0.0
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture
def launch(blobs, tmp_path, root):
    """Starts the stage under torchrun, or plainly as one process; called with run, processes and out."""
    train, val = blobs("train", 7), blobs("val", 3, seed=1)  # odd numbers: some processes get nothing of a last batch

    def start(run: FineTune, processes: int, out: str) -> subprocess.Popen:
        if not (tmp_path / "c").exists():
            model = models.load(run.model).create("tiny", 0)
            weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
        entry = json.dumps(run.model_dump(exclude_defaults=True))
        (tmp_path / "params.yaml").write_text(f"finetune: {{r: {entry}}}\n")
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        paths = [str(train), str(val), "c", f"e{out}", f"r{out}", f"w{out}", f"{out}.csv"]
        (tmp_path / "each_epoch.py").write_text(EACH_EPOCH.format(script=str(root / "stages/finetune.py")))
        command = [sys.executable, *(torchrun if processes > 1 else []), "each_epoch.py", "r", *paths]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        return subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)

    return start


def stderr_of(process: subprocess.Popen, code: int = 0) -> str:
    """Wait until it ends with this exit code, and return its stderr."""
    text = process.communicate(timeout=300)[1]
    assert process.returncode == code, text[-2000:]
    return text


@pytest.mark.parametrize(
    "name, train, worlds", [("clip_decoder_cnn", {"batch_size": 3}, (1, 3)), ("sam", EVERYTHING, (1, 2))]
)
def test_any_number_of_processes_trains_the_same_up_to_the_order_of_sums(name, train, worlds, launch, tmp_path):
    """The gradients of a global batch are summed over processes: floats in another order, so not bit for bit."""
    run = make_run(name, epochs=2, lr=1e-3, **train)
    for world in worlds:
        stderr_of(launch(run, world, str(world)))
    one, more = (pd.read_csv(tmp_path / f"{world}.csv") for world in worlds)
    np.testing.assert_allclose(one.loss, more.loss, atol=1e-5)
    np.testing.assert_allclose(one.val_loss, more.val_loss, atol=1e-4)
    (_, first), (_, second) = (weights.read(tmp_path / f"w{world}") for world in worlds)
    # Adam divides by a gradient's own size, so where that is next to nothing its sign decides a whole step of lr.
    steps = 2 * 3
    far = sum(((first[key] - second[key]).abs() > 1e-5).sum().item() for key in first)
    assert far < 0.02 * sum(value.numel() for value in first.values())
    assert max((first[key] - second[key]).abs().max().item() for key in first) <= 2 * steps * 1e-3


def test_waiting_for_a_process_that_has_ended_is_one_line():
    with pytest.raises(UserError, match="process 0 of 1 .*closed by peer"), Processes().collective():
        raise RuntimeError("closed by peer\nand more")


def test_a_process_that_dies_ends_the_run_with_a_line_and_it_resumes(launch, tmp_path):
    run = make_run("sam", epochs=12, lr=1e-4)
    stderr_of(launch(run, 2, "whole"))
    process = launch(run, 2, "broken")
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("rbroken/epoch-*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (second,) = [pid for pid in workers if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
    os.kill(int(second), signal.SIGKILL)
    text = stderr_of(process, code=1)
    assert "Signal 9 (SIGKILL) received" in text  # torchrun's report
    assert "in finish" not in text and not (tmp_path / "wbroken").exists()  # no traceback of ours
    assert "resuming after epoch" in stderr_of(launch(run, 2, "broken"))
    assert (tmp_path / "broken.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
