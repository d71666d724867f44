"""The autoencoder: it gives pictures back, and what it learned by that stays under the head."""

import numpy as np
import pandas as pd
import pytest
import torch
from promptseg import models
from promptseg.cli.check import segmenter_class
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.nn import finetuned_weights, weights
from promptseg.prompts import Prompt
from promptseg.training import trainer
from promptseg.training.curve import COLUMNS
from promptseg.training.setup import Inputs


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads of tiny networks wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def trained(blobs, tmp_path):
    """Trains a tiny one; gives the curve and what is stored."""

    def train(model: str = "autoencoder", out: str = "w", max_epochs: int | None = None, **settings):
        made = models.load(model).create("tiny", 0)
        weights.write(tmp_path / "c", made.configuration(), made.state_dict())
        train = {"epochs": 1, "lr": 2e-3, "batch": 4, "parts": ["head"], **settings}
        run = params.FineTune.model_validate({"dataset": "em", "model": model, "prompt": {}, "train": train})
        trainer.finetune(
            run, max_epochs, 0, Inputs(blobs("train", 8), blobs("val", 2, seed=1), tmp_path / "c", tmp_path / "e"),
            tmp_path / "r", tmp_path / out, tmp_path / f"{out}.csv",
        )  # fmt: skip
        return pd.read_csv(tmp_path / f"{out}.csv"), weights.read(tmp_path / out)[1]

    return train


def test_both_steps_are_in_the_curve(trained):
    curve, _ = trained(pretrain=4, epochs=1)
    assert list(curve.columns) == list(COLUMNS)
    assert list(curve.phase) == ["pretrain"] * 4 + ["train"] and list(curve.epoch) == [1, 2, 3, 4, 5]
    first = curve[curve.phase == "pretrain"]
    assert first.loss.iloc[-1] < 0.7 * first.loss.iloc[0] and first.val_loss.iloc[-1] < first.val_loss.iloc[0]
    assert first.val_iou.isna().all() and curve[curve.phase == "train"].val_iou.notna().all()


def test_a_frozen_encoder_is_stored_as_reconstruction_left_it(trained, tmp_path):
    _, learned = trained(pretrain=1, epochs=1, out="one")
    _, longer = trained(pretrain=1, epochs=2, out="two")
    _, on = trained(pretrain=1, epochs=1, parts=["all"], out="all")
    start = weights.read(tmp_path / "c")[1]
    assert learned.keys() == start.keys()
    encoder = [name for name in learned if name.startswith(("encoder.", "picture."))]
    assert all(torch.equal(learned[name], longer[name]) for name in encoder)
    assert any(not torch.equal(learned[name], start[name]) for name in encoder)
    assert any(not torch.equal(learned[name], on[name]) for name in encoder)
    model = models.load("autoencoder").load(tmp_path / "c", 1)
    finetuned_weights.apply(model, weights.digest(tmp_path / "c"), tmp_path / "one")
    assert all(torch.equal(value, learned[name]) for name, value in model.state_dict().items())


def test_without_pretraining_only_the_part_is_stored(trained):
    curve, learned = trained()
    assert list(curve.phase) == ["train"] and all(name.startswith("head.") for name in learned)


def test_max_epochs_shortens_both_steps(trained):
    curve, _ = trained(pretrain=3, epochs=3, max_epochs=1)
    assert list(curve.phase) == ["pretrain", "train"]


def test_a_model_with_nothing_to_learn_first_says_so():
    settings = params.Train(epochs=1, pretrain=1, parts=["all"])
    with pytest.raises(UserError, match="unet has no task of its own to learn first"):
        segmenter_class("unet").check_training(settings)


def test_the_loss_is_the_mean_squared_error_of_each_picture(blobs):
    model = models.load("autoencoder").create("tiny", 0)
    pairs = records.pairs(blobs("p", 2))
    features = model.encode([records.image(pair) for pair in pairs])
    with torch.no_grad():
        back, loss = model.reconstruct(features), model.pretext(features)
    assert back.shape == features["pixels"].shape
    expected = [((a - b) ** 2).mean() for a, b in zip(back.numpy(), features["pixels"].numpy())]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["autoencoder", "clip_decoder_cnn"])
def test_it_takes_as_many_classes_as_the_dataset_has(name, tmp_path):
    model = models.load(name).create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    three, again = (models.load(name).load(tmp_path / "w", 3) for _ in range(2))
    picture = np.zeros((20, 30), np.uint8)
    with torch.no_grad():
        logits = three.decode(three.encode([picture]), [[Prompt(target) for target in (1, 2, 3)]])
    assert logits.shape[1] == 3
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in three.state_dict().items())
    before, after = model.state_dict(), three.state_dict()
    same = [key for key in before if before[key].shape == after[key].shape]
    assert len(before) - len(same) == 2 and all(torch.equal(before[key], after[key]) for key in same)
