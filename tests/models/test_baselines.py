"""Models that start from random weights: the autoencoder's two phases, the U-Net's box, and outputs for each class."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune
from promptseg.core.train_config import Train
from promptseg.models.autoencoder import Autoencoder
from promptseg.models.unet_box import UnetBox, coverage
from promptseg.nn import finetuned_weights, unets, weights
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.training import setup, trainer
from promptseg.training.curve import COLUMNS
from promptseg.training.losses import dice

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)


@pytest.fixture
def train(blobs, tmp_path):
    """Train a small autoencoder; returns the curve and the trained tensors."""
    torch.manual_seed(0)
    model = Autoencoder({"widths": [8, 16], "size": 32}, 1)
    weights.write(tmp_path / "c", model.configuration(), model.state_dict())
    splits = blobs("train", 8, (32, 32)), blobs("val", 2, (32, 32), seed=1)

    def train(out: str = "w", max_epochs: int | None = None, **settings):
        config = {"epochs": 1, "lr": 5e-3, "batch_size": 4, "trainable": ["head"], **settings}
        run = FineTune.model_validate({"dataset": "em", "model": "autoencoder", "prompt": {}, "train": config})
        outputs = trainer.Outputs(tmp_path / "r", tmp_path / out, tmp_path / f"{out}.csv")
        trainer.finetune(setup.Job(run, max_epochs, 0), setup.Inputs(*splits, tmp_path / "c", tmp_path / "e"), outputs)
        return pd.read_csv(outputs.curve), weights.read(outputs.weights)[1]

    return train


def test_the_curve_has_both_phases(train):
    curve, _ = train(pretext_epochs=4)
    assert list(curve.columns) == list(COLUMNS)
    assert list(curve.phase) == ["pretext"] * 4 + ["train"] and list(curve.epoch) == [1, 2, 3, 4, 5]
    pretext = curve[curve.phase == "pretext"]
    assert pretext.loss.iloc[-1] < 0.7 * pretext.loss.iloc[0] and pretext.val_loss.iloc[-1] < pretext.val_loss.iloc[0]
    assert pretext.val_iou.isna().all() and curve[curve.phase == "train"].val_iou.notna().all()
    limited, _ = train(pretext_epochs=3, epochs=3, max_epochs=1)
    assert list(limited.phase) == ["pretext", "train"]


def test_a_frozen_encoder_is_stored_as_reconstruction_trained_it(train, tmp_path):
    _, trained = train(pretext_epochs=1, out="one")
    _, longer = train(pretext_epochs=1, epochs=2, out="two")
    _, all_trained = train(pretext_epochs=1, trainable=["all"], out="all")
    start = weights.read(tmp_path / "c")[1]
    assert trained.keys() == start.keys()
    encoder = [name for name in trained if name.startswith(("encoder.", "picture."))]
    assert all(torch.equal(trained[name], longer[name]) for name in encoder)
    assert any(not torch.equal(trained[name], start[name]) for name in encoder)
    assert any(not torch.equal(trained[name], all_trained[name]) for name in encoder)
    model = models.load("autoencoder").load(tmp_path / "c", 1)
    finetuned_weights.apply(model, weights.digest(tmp_path / "c"), tmp_path / "one")
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())


def test_without_pretext_task_only_the_head_is_stored(train):
    curve, trained = train()
    assert list(curve.phase) == ["train"] and all(name.startswith("head.") for name in trained)
    with pytest.raises(UserError, match="unet has no pretext task; leave out train.pretext_epochs"):
        models.load("unet").check_training(Train(epochs=1, pretext_epochs=1, trainable=["all"]))


@torch.no_grad()
def test_the_pretext_loss_is_the_mean_squared_error_of_each_image():
    model = models.load("autoencoder").create("tiny", 0)
    features = model.encode(list(IMAGES))
    reconstruction, loss = model.reconstruct(features), model.pretext_loss(features)
    assert reconstruction.shape == features["pixels"].shape
    expected = [((a - b) ** 2).mean() for a, b in zip(reconstruction.numpy(), features["pixels"].numpy())]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["autoencoder", "clip_decoder_cnn", "unet"])
def test_there_are_as_many_outputs_as_the_dataset_has_classes(name, tmp_path):
    model = models.load(name).create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    three, again = (models.load(name).load(tmp_path / "w", 3) for _ in range(2))
    features = three.encode([IMAGES[0]])
    logits = three.decode(features, [[Prompt(target) for target in (1, 2, 3)]])
    assert logits.shape[1] == 3 and torch.equal(three.decode(features, [[Prompt(3)]])[0, 0], logits[0, 2])
    assert not torch.equal(logits[0, 0], logits[0, 2])
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in three.state_dict().items())
    before, after = model.state_dict(), three.state_dict()
    same = [key for key in before if before[key].shape == after[key].shape]
    assert len(before) - len(same) == 2 and all(torch.equal(before[key], after[key]) for key in same)


def test_a_box_covers_whole_and_half_pixels():
    covered = coverage(torch.tensor([[1.0, 0.5, 3.0, 2.0]]), 4)[0]
    assert covered.tolist() == [[0, 0.5, 0.5, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@torch.no_grad()
def test_the_last_pixel_belongs_to_the_box_that_the_network_sees(monkeypatch):
    model, seen = models.load("unet_box").create("tiny", 0), []
    monkeypatch.setattr(model.network, "forward", lambda channels: seen.append(channels[:, 3]) or channels[:, 3:])
    boxes = np.array([[5.0, 5, 12, 12], [3, 4, 3, 4]])  # 8 x 8 pixels, and a single one
    model.decode(model.encode([IMAGES[0]]), [[Prompt.of(Box(box)) for box in boxes]])
    assert seen[0].sum(dim=(1, 2)).tolist() == [64, 1] and seen[0][1, 4, 3] == 1


@settings(max_examples=30)
@given(*[st.floats(-4, 20, width=32)] * 4)
def test_the_covered_area_is_that_of_the_box_within_the_input(x0, y0, x1, y1):
    x0, x1, y0, y1 = *sorted((x0, x1)), *sorted((y0, y1))
    width, height = (max(0.0, min(high, 16) - max(low, 0)) for low, high in ((x0, x1), (y0, y1)))
    covered = coverage(torch.tensor([[x0, y0, x1, y1]]), 16)
    assert abs(covered.sum().item() - width * height) < 1e-3 and 0 <= covered.min() and covered.max() <= 1


def test_after_training_the_box_decides_which_object_is_segmented():
    image = np.full((32, 32, 3), 60, np.uint8)
    image[5:13, 5:13] = image[20:28, 17:27] = 200
    boxes = np.array([[5.0, 5.0, 12.0, 12.0], [17.0, 20.0, 26.0, 27.0]])
    masks = torch.zeros(2, 32, 32)
    masks[0, 5:13, 5:13] = masks[1, 20:28, 17:27] = 1
    torch.manual_seed(0)
    model = UnetBox({**unets.SIZES["tiny"], "depth": 3, "decoder_channels": [32, 24, 16], "size": 32}).train()
    features, prompts = model.encode([image]), [[Prompt.of(Box(box)) for box in boxes]]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(14):
        logits = model.decode(features, prompts)[0]
        optimizer.zero_grad()
        dice(logits, masks, torch.ones_like(masks)).sum().backward()
        optimizer.step()
    with torch.no_grad():
        predictions = model.eval().decode(features, prompts)[0] > 0
    for prediction, own, other in zip(predictions, masks > 0, masks.flip(0) > 0):
        assert prediction[own].float().mean() > 0.9 and prediction[other].float().mean() < 0.1
