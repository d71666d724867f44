"""Loading a run: defaults, phases, trainable parameters and the errors that come before training."""

from dataclasses import replace

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.train_config import Train
from promptseg.data import records
from promptseg.training import train_settings
from promptseg.training.losses import LOSSES
from promptseg.training.setup import Job, Setup, set_up
from refusing import refused
from tiny_training import make_inputs, make_job

COMPLETE = {"trainable": ["all"], "loss": "dice", "batch_size": 2, "lr": 0.1}


@pytest.fixture
def load(blobs, tmp_path):
    """Sets up jobs of one model, with inputs that are written once."""
    inputs = []

    def call(job: Job, **paths) -> Setup:
        inputs[:] = inputs or [make_inputs(blobs, tmp_path, job.run.model)]
        return set_up(job, replace(inputs[0], **paths), Processes())

    return call


def test_settings_are_completed_and_auto_becomes_a_number(load):
    setup = load(make_job("autoencoder", loss="focal"))
    config = setup.config
    assert (config.trainable, config.loss, config.lr, config.batch_size) == (["head"], "focal", 1e-3, 8)
    assert setup.job.run.train.model_dump() == config.model_dump() and not setup.auto_batch_size
    auto = load(make_job("autoencoder", batch_size="auto"))
    assert auto.config.batch_size == 8 and auto.auto_batch_size and auto.job.run.train.batch_size == "auto"


def test_the_pretext_task_comes_first_with_its_own_parameters_and_without_ema(load):
    job = make_job("autoencoder", epochs=4, pretext_epochs=3, ema_decay=0.5)
    setup = load(job)
    pretext, train = setup.training.phases
    assert (pretext.name, pretext.epochs, pretext.order_key, pretext.config.ema_decay) == ("pretext", 3, (1,), None)
    assert (train.name, train.epochs, train.order_key, train.config.ema_decay) == ("train", 4, (), 0.5)
    assert all(name.startswith(("encoder.", "picture.", "reconstruction.")) for name in pretext.trainable)
    assert train.trainable and all(name.startswith("head.") for name in train.trainable)
    assert setup.training.trained_parameters == sorted({*pretext.trainable, *train.trainable})
    left = [name for name, value in setup.training.segmenter.named_parameters() if value.requires_grad]
    assert left == train.trainable
    limited = {limit: load(replace(job, max_epochs=limit)).training.phases for limit in (2, 9)}
    assert {limit: [phase.epochs for phase in phases] for limit, phases in limited.items()} == {2: [2, 2], 9: [3, 4]}


def test_adapters_are_attached_with_the_seed_and_change_no_feature(load):
    def adapters(seed: int) -> dict[str, torch.Tensor]:
        setup = load(make_job("sam", seed=seed, trainable=["lora"], lora={"rank": 2}))
        values = dict(setup.training.segmenter.named_parameters())
        return {name: values[name] for name in setup.training.trained_parameters}

    first, again, other = adapters(0), adapters(0), adapters(1)
    assert first and all(".lora_" in name and torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
    assert all(not value.any() for name, value in first.items() if ".lora_B" in name)


def test_the_validation_split_is_not_augmented(load):
    setup = load(make_job("sam", augment={}))
    assert not setup.train_split.cacheable and setup.val_split.cacheable
    assert (len(setup.train_split), len(setup.val_split)) == (5, 3)


@pytest.mark.parametrize(
    "train, words",
    [({"trainable": ["tail"]}, "autoencoder has no trainable 'tail'; known: head, all"),
     ({"loss": "iou"}, f"params.yaml: train.loss: unknown loss 'iou'; known: {', '.join(LOSSES)}"),
     ({"optimizer": "sgd"}, "params.yaml: train.optimizer: unknown optimizer 'sgd'; known: adam, adamw, muon"),
     ({"prompt": {"points": 1}}, "autoencoder takes no points prompt")],
)  # fmt: skip
def test_wrong_settings_are_one_line(train, words, load):
    refused(lambda: load(make_job("autoencoder", **train)), words)


@pytest.mark.parametrize("key", ["trainable", "loss", "batch_size", "lr"])
def test_a_setting_without_a_default_is_named(key):
    config = Train(epochs=1).completed({name: value for name, value in COMPLETE.items() if name != key})
    refused(lambda: train_settings.check(config), f"params.yaml: train.{key}: missing, and the model has no default")


def test_a_split_that_a_model_cannot_train_on_is_refused(load, tmp_path):
    for name, metadata in (("empty", {}), ("clouds", {"modality": "point_cloud"})):
        with records.RecordWriter(tmp_path / f"{name}.parquet", records.Record, {"classes": ["disc"], **metadata}):
            pass
    job, folder, line = make_job("autoencoder"), tmp_path, "empty.parquet: no images to train on; lower datasets.em"
    refused(lambda: load(job, train=folder / "empty.parquet"), line)
    refused(lambda: load(job, train=folder / "clouds.parquet"), "autoencoder takes images", "em holds point")
