"""Fine-tuning: it learns, keeps the best epoch, leaves the rest alone, and does the same on two processes."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from promptseg import models
from promptseg.base import params
from promptseg.base.errors import Problem
from promptseg.learning import training
from promptseg.learning.losses import LOSSES, bce, dice, focal
from promptseg.networks import weights

PROMPTS = {
    "sam": {"points": 1}, "sam2": {"box": True}, "clipseg": {"text": ["disc"]}, "unet": {}, "unet_box": {"box": True},
    "autoencoder": {}, "clip_decoder_cnn": {}, "clip_decoder_unet": {"text": ["disc"]},
    "clip_decoder_transformer": {"text": "class"},
}  # fmt: skip
PARTS = {
    "sam": "mask_decoder", "sam2": "mask_decoder", "clipseg": "decoder", "unet": "all", "unet_box": "all",
    "autoencoder": "all", "clip_decoder_cnn": "decoder", "clip_decoder_unet": "decoder",
    "clip_decoder_transformer": "decoder",
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
        training.finetune(
            settings, max_epochs, 0, blobs("train", count, **kinds), blobs("val", val, seed=1), tmp_path / "c",
            tmp_path / "embeddings", tmp_path / out, tmp_path / f"{out}.csv",
        )  # fmt: skip
        return pd.read_csv(tmp_path / f"{out}.csv"), weights.read(tmp_path / out)[1], tmp_path

    return train


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_it_learns_and_the_frozen_rest_is_not_stored(name, trained):
    curve, learned, _ = trained(run(name, epochs=5))
    assert list(curve.columns) == list(training.COLUMNS) and list(curve.epoch) == [1, 2, 3, 4, 5]
    assert curve.loss.iloc[-1] < curve.loss.iloc[0]
    part = models.load(name)
    beginnings = next(v for v in vars(part).values() if getattr(v, "NAME", None) == name).PARTS[PARTS[name]]
    assert learned and all(key.startswith(beginnings) for key in learned)


def test_the_same_seed_gives_the_same_bytes(trained):
    _, _, folder = trained(run("unet", epochs=2), out="a")
    trained(run("unet", epochs=2), out="b")
    assert (folder / "a/model.safetensors").read_bytes() == (folder / "b/model.safetensors").read_bytes()
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_the_best_epoch_on_validation_is_kept(trained, monkeypatch):
    """The learned tensors are those after the epoch whose validation IoU is the highest of the curve."""
    after, real = [], training._epoch

    def noted(segmenter, split, *rest):
        result = real(segmenter, split, *rest)
        if len(rest) == 4:  # validation
            after.append({key: value.clone() for key, value in segmenter.state_dict().items()})
            ious = [0.3, 0.7, 0.7, 0.1]
            result = (result[0], ious[len(after) - 1], result[2])
        return result

    monkeypatch.setattr(training, "_epoch", noted)
    curve, learned, _ = trained(run("unet", epochs=4))
    assert list(curve.val_iou) == [0.3, 0.7, 0.7, 0.1]
    assert all(torch.equal(value, after[1][key]) for key, value in learned.items())  # the earlier of two equals


def test_without_a_validation_split_the_last_epoch_is_kept_and_the_curve_says_nothing_of_it(trained):
    curve, learned, _ = trained(run("unet", epochs=2), val=0)
    assert curve.val_iou.isna().all() and learned


def test_pictures_without_the_class_are_passed_over_by_oracle_prompts(trained):
    curve, _, _ = trained(run("sam", epochs=1), empty=(0, 1, 2, 3))
    assert np.isfinite(curve.loss[0])


def test_max_epochs_shortens_but_never_lengthens(trained):
    assert len(trained(run("unet", epochs=3), max_epochs=1)[0]) == 1
    assert len(trained(run("unet", epochs=1), max_epochs=5)[0]) == 1


def test_nothing_to_train_on_and_unknown_parts_end_in_one_line(trained):
    with pytest.raises(Problem, match="no pictures to train on"):
        trained(run("unet"), count=0)
    with pytest.raises(Problem, match="unet has no part 'head' to train; known: all"):
        trained(run("unet", parts=["head"]))


def test_a_loss_that_is_not_finite_names_the_pictures_and_writes_nothing(trained, monkeypatch, tmp_path):
    monkeypatch.setitem(training.LOSSES, "dice", lambda logits, t, w: dice(logits, t, w) * float("nan"))
    with pytest.raises(Problem, match="no longer finite, at pictures train/"):
        trained(run("unet"))
    assert not (tmp_path / "w").exists() and not (tmp_path / "w.csv").exists()


@pytest.mark.parametrize("name", ["sam", "unet"])
def test_two_processes_learn_the_same_up_to_the_order_of_sums(name, blobs, tmp_path, root):
    """A global batch is dealt out, its gradients are summed: floats in another order, so not bit for bit."""
    train, val = blobs("train", 7), blobs("val", 3, seed=1)  # an odd number: in the last batch one process has nothing
    model = models.load(name).create("tiny", 0)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict(), model.files())
    settings = run(name, epochs=2, lr=1e-3, batch=3).model_dump(exclude_defaults=True)
    (tmp_path / "params.yaml").write_text(
        f"datasets: {{em: {{reader: em}}}}\nmodels: {{{name}: {{}}}}\nfinetune: {{r: {settings}}}\n".replace(
            "True", "true"
        )
    )
    for processes in (1, 2):
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*launcher, str(root / "stages/finetune.py"), "r", str(train), str(val), "c", f"e{processes}"]
        env = {**os.environ, "PYTHONPATH": str(root / "stages")}
        done = subprocess.run(
            [*command, f"w{processes}", f"{processes}.csv"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (pd.read_csv(tmp_path / f"{n}.csv") for n in (1, 2))
    np.testing.assert_allclose(one.loss, two.loss, atol=1e-5)
    np.testing.assert_allclose(one.val_loss, two.val_loss, atol=1e-4)
    (_, first), (_, second) = (weights.read(tmp_path / f"w{n}") for n in (1, 2))
    # Adam divides by a gradient's own size, so where that is next to nothing its sign decides a whole step of lr.
    steps = 2 * 3
    far = sum(((first[key] - second[key]).abs() > 1e-5).sum().item() for key in first)
    assert far < 0.02 * sum(value.numel() for value in first.values())
    assert max((first[key] - second[key]).abs().max().item() for key in first) <= 2 * steps * 1e-3


@given(st.integers(0, 2**32 - 1))
def test_dice_is_the_formula_of_the_study(seed):
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(0, 3, (2, 5, 7)), (rng.random((2, 5, 7)) > 0.6).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = [1 - (2 * (y * q).sum() + 1) / (y.sum() + q.sum() + 1) for y, q in zip(target, p)]
    found = dice(*map(torch.tensor, (logits, target, np.ones_like(target))))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_losses_against_torchs_own():
    logits, target = torch.randn(3, 4, 5, dtype=torch.float64), (torch.rand(3, 4, 5) > 0.5).double()
    full = torch.ones_like(target)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
    torch.testing.assert_close(bce(logits, target, full), expected)
    from torchvision.ops import sigmoid_focal_loss

    torch.testing.assert_close(focal(logits, target, full), sigmoid_focal_loss(logits, target).mean((1, 2)))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_ignored_pixels_change_no_loss(name):
    logits, target = torch.randn(2, 6, 6), (torch.rand(2, 6, 6) > 0.5).float()
    weight = (torch.rand(2, 6, 6) > 0.3).float()
    other = torch.where(weight > 0, logits, torch.randn_like(logits) * 9)
    torch.testing.assert_close(LOSSES[name](logits, target, weight), LOSSES[name](other, target, weight))
    assert LOSSES[name](torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)).isfinite().all()
