"""The autoencoder: reconstruction as pretext task, and its encoder frozen or trained under the head."""

import numpy as np
import pandas as pd
import pytest
import torch
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.core.runs import FineTune
from promptseg.core.train_config import Train
from promptseg.data import records
from promptseg.models import segmenter_class
from promptseg.nn import finetuned_weights, weights
from promptseg.prompts import Prompt
from promptseg.training import setup, trainer
from promptseg.training.curve import COLUMNS


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads of tiny networks wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def train(blobs, tmp_path):
    """Train a tiny model; returns the curve and the trained tensors."""

    def train(out: str = "w", max_epochs: int | None = None, **settings):
        model = models.load("autoencoder").create("tiny", 0)
        weights.write(tmp_path / "c", model.configuration(), model.state_dict())
        config = {"epochs": 1, "lr": 2e-3, "batch_size": 4, "trainable": ["head"], **settings}
        run = FineTune.model_validate({"dataset": "em", "model": "autoencoder", "prompt": {}, "train": config})
        inputs = setup.Inputs(blobs("train", 8), blobs("val", 2, seed=1), tmp_path / "c", tmp_path / "e")
        outputs = trainer.Outputs(tmp_path / "r", tmp_path / out, tmp_path / f"{out}.csv")
        trainer.finetune(setup.Job(run, max_epochs, 0), inputs, outputs)
        return pd.read_csv(outputs.curve), weights.read(outputs.weights)[1]

    return train


def test_the_curve_has_both_phases(train):
    curve, _ = train(pretext_epochs=4, epochs=1)
    assert list(curve.columns) == list(COLUMNS)
    assert list(curve.phase) == ["pretext"] * 4 + ["train"] and list(curve.epoch) == [1, 2, 3, 4, 5]
    pretext = curve[curve.phase == "pretext"]
    assert pretext.loss.iloc[-1] < 0.7 * pretext.loss.iloc[0] and pretext.val_loss.iloc[-1] < pretext.val_loss.iloc[0]
    assert pretext.val_iou.isna().all() and curve[curve.phase == "train"].val_iou.notna().all()


def test_a_frozen_encoder_is_stored_as_reconstruction_trained_it(train, tmp_path):
    _, trained = train(pretext_epochs=1, epochs=1, out="one")
    _, longer = train(pretext_epochs=1, epochs=2, out="two")
    _, all_trained = train(pretext_epochs=1, epochs=1, trainable=["all"], out="all")
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


def test_max_epochs_limits_both_phases(train):
    curve, _ = train(pretext_epochs=3, epochs=3, max_epochs=1)
    assert list(curve.phase) == ["pretext", "train"]


def test_models_without_pretext_task_refuse_its_epochs():
    config = Train(epochs=1, pretext_epochs=1, trainable=["all"])
    with pytest.raises(UserError, match="unet has no pretext task; leave out train.pretext_epochs"):
        segmenter_class("unet").check_training(config)


def test_the_pretext_loss_is_the_mean_squared_error_of_each_image(blobs):
    model = models.load("autoencoder").create("tiny", 0)
    split = records.open_split(blobs("p", 2))
    features = model.encode([records.image(record) for record in split])
    with torch.no_grad():
        reconstruction, loss = model.reconstruct(features), model.pretext_loss(features)
    assert reconstruction.shape == features["pixels"].shape
    expected = [((a - b) ** 2).mean() for a, b in zip(reconstruction.numpy(), features["pixels"].numpy())]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["autoencoder", "clip_decoder_cnn"])
def test_there_are_as_many_outputs_as_the_dataset_has_classes(name, tmp_path):
    model = models.load(name).create("tiny", 0)
    weights.write(tmp_path / "w", model.configuration(), model.state_dict(), model.files())
    three, again = (models.load(name).load(tmp_path / "w", 3) for _ in range(2))
    image = np.zeros((20, 30), np.uint8)
    with torch.no_grad():
        logits = three.decode(three.encode([image]), [[Prompt(target) for target in (1, 2, 3)]])
    assert logits.shape[1] == 3
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in three.state_dict().items())
    before, after = model.state_dict(), three.state_dict()
    same = [key for key in before if before[key].shape == after[key].shape]
    assert len(before) - len(same) == 2 and all(torch.equal(before[key], after[key]) for key in same)
