"""Fine-tuning: it learns, keeps the best epoch, leaves the rest alone, and does the same on two processes."""

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
from promptseg.cli import check
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import epochs, trainer
from promptseg.training.curve import COLUMNS
from promptseg.training.losses import dice
from promptseg.training.setup import Inputs

PROMPTS = {
    "sam": {"points": 1}, "sam2": {"box": True}, "clipseg": {"text": ["disc"]}, "unet": {}, "unet_box": {"box": True},
    "autoencoder": {}, "clip_decoder_cnn": {}, "clip_decoder_unet": {"text": ["disc"]},
    "clip_decoder_transformer": {"text": "class"}, "medsam": {"box": True, "jitter": 0.02}, "pa_sam": {"points": 2},
}  # fmt: skip
PARTS = {
    "sam": "mask_decoder", "sam2": "mask_decoder", "clipseg": "decoder", "unet": "all", "unet_box": "all",
    "autoencoder": "all", "clip_decoder_cnn": "decoder", "clip_decoder_unet": "decoder",
    "clip_decoder_transformer": "decoder", "medsam": "mask_decoder", "pa_sam": "adapter",
}  # fmt: skip


def run(name: str, epochs: int = 3, lr: float = 2e-3, **train) -> params.FineTune:
    asked = {"prompt": PROMPTS[name]}
    settings = {"epochs": epochs, "lr": lr, "parts": [PARTS[name]], "batch": 4, **asked, **train}
    return params.FineTune.model_validate({"dataset": "em", "model": name, **asked, "train": settings})


@pytest.fixture
def trained(blobs, tmp_path):
    """Trains a tiny model; gives the curve, what it learned, and the folder."""

    def train(settings: params.FineTune, count: int = 10, val: int = 4, max_epochs=None, out: str = "w", **kinds):
        model = models.load(settings.model).create("tiny", 0)
        weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
        trainer.finetune(
            settings, max_epochs, 0,
            Inputs(blobs("train", count, **kinds), blobs("val", val, seed=1), tmp_path / "c", tmp_path / "embeddings"),
            tmp_path / "resume", tmp_path / out, tmp_path / f"{out}.csv",
        )  # fmt: skip
        return pd.read_csv(tmp_path / f"{out}.csv"), weights.read(tmp_path / out)[1], tmp_path

    return train


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_it_learns_and_the_frozen_rest_is_not_stored(name, trained):
    curve, learned, _ = trained(run(name, epochs=5))
    assert list(curve.columns) == list(COLUMNS) and list(curve.epoch) == [1, 2, 3, 4, 5]
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    part = models.load(name)
    beginnings = next(v for v in vars(part).values() if getattr(v, "NAME", None) == name).PARTS[PARTS[name]]
    assert learned and all(key.startswith(beginnings) for key in learned)


def test_the_same_seed_gives_the_same_bytes(trained):
    _, _, folder = trained(run("clip_decoder_cnn", epochs=2), out="a")
    trained(run("clip_decoder_cnn", epochs=2), out="b")
    assert (folder / "a/model.safetensors").read_bytes() == (folder / "b/model.safetensors").read_bytes()
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


@pytest.fixture
def validated(monkeypatch):
    """Gives validation the results that it is told, one an epoch; keeps the weights that were measured."""

    def tell(**values):
        after, real = [], epochs.measure

        def told(segmenter, *rest):
            after.append({key: value.clone() for key, value in segmenter.state_dict().items()})
            return real(segmenter, *rest)._replace(**{key: given[len(after) - 1] for key, given in values.items()})

        monkeypatch.setattr(epochs, "measure", told)
        return after

    return tell


def test_the_best_epoch_on_validation_is_kept(trained, validated):
    """The learned tensors are those after the epoch whose validation IoU is the highest of the curve."""
    after = validated(iou=[0.3, 0.7, 0.7, 0.1])
    curve, learned, _ = trained(run("clip_decoder_cnn", epochs=4))
    assert list(curve.val_iou) == [0.3, 0.7, 0.7, 0.1]
    assert all(torch.equal(value, after[1][key]) for key, value in learned.items())  # the earlier of two equals


def test_it_stops_when_patience_is_at_an_end(trained, validated):
    after = validated(iou=[0.3, 0.7, 0.6, 0.7, 0.5, 0.8])
    curve, learned, _ = trained(run("clip_decoder_cnn", epochs=6, patience=2))
    assert list(curve.val_iou) == [0.3, 0.7, 0.6, 0.7]
    assert all(torch.equal(value, after[1][key]) for key, value in learned.items())


def test_masks_that_swell_to_the_whole_picture_are_said_once(trained, validated, capsys):
    validated(foreground=[0.1, 0.9, 0.95, 1.0], true=[0.12] * 4)
    trained(run("clip_decoder_cnn", epochs=4))
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1 and lines[0].startswith(
        "warning: epoch 3: the masks mark 0.950 of the validation pictures where 0.120 is true, 2 epochs running"
    )


def test_the_weights_that_are_kept_with_ema_are_the_average(trained, validated):
    after = validated(iou=[0.1, 0.9, 0.1, 0.9])  # of two runs
    _, learned, _ = trained(run("clip_decoder_cnn", epochs=2, ema=0.9), out="ema")
    assert all(torch.equal(value, after[1][key]) for key, value in learned.items())
    _, plain, _ = trained(run("clip_decoder_cnn", epochs=2), out="plain")
    assert any(not torch.equal(value, plain[key]) for key, value in learned.items())


def test_without_a_validation_split_the_last_epoch_is_kept_and_the_curve_says_nothing_of_it(trained):
    curve, learned, _ = trained(run("clip_decoder_cnn", epochs=2), val=0)
    assert curve.val_iou.isna().all() and learned


def test_pictures_without_the_class_are_passed_over_by_oracle_prompts(trained):
    curve, _, _ = trained(run("sam", epochs=1), empty=(0, 1, 2, 3))
    assert np.isfinite(curve.loss[0])


def test_max_epochs_shortens_but_never_lengthens(trained):
    assert len(trained(run("clip_decoder_cnn", epochs=3), max_epochs=1)[0]) == 1
    assert len(trained(run("clip_decoder_cnn", epochs=1), max_epochs=5)[0]) == 1


def test_nothing_to_train_on_and_unknown_parts_end_in_one_line(trained):
    with pytest.raises(UserError, match="no pictures to train on"):
        trained(run("clip_decoder_cnn"), count=0)
    with pytest.raises(UserError, match="clip_decoder_cnn has no part 'head' to train; known: decoder"):
        trained(run("clip_decoder_cnn", parts=["head"]))


def test_a_loss_that_is_not_finite_names_the_pictures_and_writes_nothing(trained, monkeypatch, tmp_path):
    monkeypatch.setitem(epochs.LOSSES, "dice", lambda logits, t, w: dice(logits, t, w) * float("nan"))
    with pytest.raises(UserError, match="no longer finite, at pictures train/"):
        trained(run("clip_decoder_cnn"))
    assert not (tmp_path / "w").exists() and not (tmp_path / "w.csv").exists()


def test_a_loss_that_breaks_late_leaves_the_best_epoch_where_it_says(trained, monkeypatch, tmp_path):
    whole, kept, _ = trained(run("clip_decoder_cnn", epochs=2), out="whole")
    losses = []  # an epoch has 3 batches to learn from and 1 to measure on

    def broken(logits, target, weight):
        losses.append(1)
        return dice(logits, target, weight) * (float("nan") if len(losses) > 9 else 1)

    monkeypatch.setitem(epochs.LOSSES, "dice", broken)
    with pytest.raises(UserError) as problem:
        trained(run("clip_decoder_cnn", epochs=9))
    best = f"{tmp_path}/resume/best-0002" if whole.val_iou[1] > whole.val_iou[0] else f"{tmp_path}/resume/best-0001"
    assert f"the best so far stays in {best} until" in str(problem.value)
    assert str(problem.value).startswith("epoch 3: the loss is no longer finite, at pictures train/")
    assert all(torch.equal(value, kept[key]) for key, value in weights.read(Path(best))[1].items())
    assert not (tmp_path / "w").exists()


def test_a_model_that_learns_in_half_the_bits_learns(trained):
    curve, learned, _ = trained(run("sam", epochs=4, precision="bf16"))
    assert curve.loss.iloc[-1] < curve.loss.iloc[0] and all(value.dtype == torch.float32 for value in learned.values())


@pytest.mark.parametrize("settings", [{"parts": ["lora"]}, {"augment": {"rotate": 10.0}}])
def test_what_is_not_frozen_is_encoded_as_it_goes(settings, trained, monkeypatch):
    model, encoded = check.segmenter_class("sam"), []
    real = model.encode
    monkeypatch.setattr(model, "encode", lambda self, images: encoded.append(len(images)) or real(self, images))
    _, _, folder = trained(run("sam", epochs=2, **settings), count=6, val=2)
    caches = list((folder / "embeddings").glob("sam-*/about.json"))
    if "parts" in settings:
        assert sum(encoded) == 2 * (6 + 2) and caches == []
    else:  # the validation split is not augmented, so it is encoded once; and once more, to lay the cache out
        assert sum(encoded) - 2 * 6 in (2, 3) and len(caches) == 1


def test_augmented_epochs_differ_and_the_same_seed_gives_the_same_bytes(trained):
    settings = run("autoencoder", epochs=2, augment={"flip": ["horizontal", "vertical"], "rotate": 90.0})
    first, one, _ = trained(settings, out="a")
    again, two, _ = trained(settings, out="b")
    plain, _, _ = trained(run("autoencoder", epochs=2), out="c")
    assert first.equals(again) and all(torch.equal(one[key], two[key]) for key in one)
    assert not np.allclose(first.loss, plain.loss, rtol=1e-6)


EVERYTHING = {
    "parts": ["lora", "mask_decoder"], "accumulate": 2, "clip": 0.5, "ema": 0.5, "optimizer": "adamw", "warmup": 0.3,
    "schedule": "cosine", "weight_decay": 0.01, "augment": {}, "batch": 2,
}  # fmt: skip


# The stage, with its state written after each epoch, however short.
EACH_EPOCH = """
import runpy
from promptseg.training import checkpoint_manager
resuming.EVERY = 0.0
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture
def launch(blobs, tmp_path, root):
    """Starts a run under torchrun, or plainly as one process: launch(settings, processes, out) -> Popen."""
    train, val = blobs("train", 7), blobs("val", 3, seed=1)  # odd numbers: some processes have nothing in a last batch

    def start(settings: params.FineTune, processes: int, out: str) -> subprocess.Popen:
        if not (tmp_path / "c").exists():
            model = models.load(settings.model).create("tiny", 0)
            weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
        entry = json.dumps(settings.model_dump(exclude_defaults=True))
        (tmp_path / "params.yaml").write_text(
            f"datasets: {{em: {{reader: em}}}}\nmodels: {{{settings.model}: {{}}}}\nfinetune: {{r: {entry}}}\n"
        )
        many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        paths = [str(train), str(val), "c", f"e{out}", f"r{out}", f"w{out}", f"{out}.csv"]
        (tmp_path / "each_epoch.py").write_text(EACH_EPOCH.format(script=str(root / "stages/finetune.py")))
        command = [sys.executable, *(many if processes > 1 else []), "each_epoch.py", "r", *paths]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        return subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)

    return start


def ended(process: subprocess.Popen, code: int = 0) -> str:
    """What it said."""
    said = process.communicate(timeout=300)[1]
    assert process.returncode == code, said[-2000:]
    return said


@pytest.mark.parametrize("name, how, worlds", [("clip_decoder_cnn", {"batch": 3}, (1, 3)), ("sam", EVERYTHING, (1, 2))])
def test_processes_learn_the_same_up_to_the_order_of_sums(name, how, worlds, launch, tmp_path):
    """A global batch is dealt out, its gradients are summed: floats in another order, so not bit for bit."""
    settings = run(name, epochs=2, lr=1e-3, **how)
    for world in worlds:
        ended(launch(settings, world, str(world)))
    one, more = (pd.read_csv(tmp_path / f"{world}.csv") for world in worlds)
    np.testing.assert_allclose(one.loss, more.loss, atol=1e-5)
    np.testing.assert_allclose(one.val_loss, more.val_loss, atol=1e-4)
    (_, first), (_, second) = (weights.read(tmp_path / f"w{world}") for world in worlds)
    # Adam divides by a gradient's own size, so where that is next to nothing its sign decides a whole step of lr.
    steps = 2 * 3
    far = sum(((first[key] - second[key]).abs() > 1e-5).sum().item() for key in first)
    assert far < 0.02 * sum(value.numel() for value in first.values())
    assert max((first[key] - second[key]).abs().max().item() for key in first) <= 2 * steps * 1e-3


def test_one_that_waits_for_a_process_that_is_gone_says_so_in_a_line():
    with pytest.raises(
        UserError, match="process 0 of 1 waits for one that is gone .closed by peer.; run the same command"
    ):
        with Processes().together():
            raise RuntimeError("closed by peer\nand more")


def test_a_process_that_dies_ends_the_run_with_a_line_and_it_goes_on(launch, tmp_path):
    settings = run("sam", epochs=12, lr=1e-4)
    ended(launch(settings, 2, "whole"))
    process = launch(settings, 2, "broken")
    until = time.monotonic() + 200
    while not list(tmp_path.glob("rbroken/epoch-*")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (second,) = [pid for pid in workers if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
    os.kill(int(second), signal.SIGKILL)
    said = ended(process, code=1)
    assert "Signal 9 (SIGKILL) received" in said  # torchrun's report
    assert "in finish" not in said and not (tmp_path / "wbroken").exists()  # no traceback of ours
    assert "training goes on after epoch" in ended(launch(settings, 2, "broken"))
    assert (tmp_path / "broken.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
