"""Loading a run: defaults, phases, trainable parameters and the errors that come before training."""

from dataclasses import replace

import pytest
import torch
from promptseg import models
from promptseg.core.devices import Processes
from promptseg.core.runs import FineTune
from promptseg.data import records
from promptseg.nn import weights
from promptseg.training.setup import Inputs, Job, set_up
from refusing import refused


def make_job(model: str = "autoencoder", prompt: dict | None = None, max_epochs: int | None = None, **train) -> Job:
    settings = {"epochs": 4, "prompt": prompt or {}, **train}
    run = FineTune.model_validate({"dataset": "em", "model": model, "prompt": prompt or {}, "train": settings})
    return Job(run, max_epochs, 0)


@pytest.fixture
def inputs(blobs, tmp_path):
    def make(model: str = "autoencoder") -> Inputs:
        created = models.load(model).create("tiny", 0)
        weights.write(tmp_path / "c", created.configuration(), created.state_dict(), created.files())
        return Inputs(blobs("train", 5), blobs("val", 3, seed=1), tmp_path / "c", tmp_path / "embeddings")

    return make


def test_settings_are_completed_and_auto_becomes_a_number(inputs):
    setup = set_up(make_job(loss="focal"), inputs(), Processes())
    config = setup.config
    assert (config.trainable, config.loss, config.lr, config.batch_size) == (["head"], "focal", 1e-3, 8)
    assert setup.job.run.train.model_dump() == config.model_dump() and not setup.auto_batch_size
    auto = set_up(make_job(batch_size="auto"), inputs(), Processes())
    assert auto.config.batch_size == 8 and auto.auto_batch_size and auto.job.run.train.batch_size == "auto"


def test_the_pretext_task_comes_first_with_its_own_parameters_and_without_ema(inputs):
    job = make_job(pretext_epochs=3, ema_decay=0.5)
    setup = set_up(job, inputs(), Processes())
    pretext, train = setup.training.phases
    assert [(phase.name, phase.epochs, phase.order_key) for phase in (pretext, train)] == [
        ("pretext", 3, (1,)), ("train", 4, ()),
    ]  # fmt: skip
    assert (pretext.config.ema_decay, train.config.ema_decay) == (None, 0.5)
    assert all(name.startswith(("encoder.", "picture.", "reconstruction.")) for name in pretext.trainable)
    assert all(name.startswith("head.") for name in train.trainable)
    assert setup.training.trained_parameters == sorted({*pretext.trainable, *train.trainable})
    short = set_up(replace(job, max_epochs=2), inputs(), Processes())
    assert [phase.epochs for phase in short.training.phases] == [2, 2]


def test_only_the_parameters_of_the_last_phase_are_left_trainable(inputs):
    segmenter = set_up(make_job(pretext_epochs=1), inputs(), Processes()).training.segmenter
    trainable = {name for name, value in segmenter.named_parameters() if value.requires_grad}
    assert trainable and all(name.startswith("head.") for name in trainable)


def test_adapters_are_attached_with_the_seed_and_change_no_feature(inputs):
    def adapters(seed: int) -> dict[str, torch.Tensor]:
        job = replace(make_job("sam", {"points": 1}, trainable=["lora"], lora={"rank": 2}), seed=seed)
        setup = set_up(job, inputs("sam"), Processes())
        values = dict(setup.training.segmenter.named_parameters())
        return {name: values[name] for name in setup.training.trained_parameters}

    first, again, other = adapters(0), adapters(0), adapters(1)
    assert first and all(".lora_" in name and torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
    assert all(not value.any() for name, value in first.items() if ".lora_B" in name)


def test_the_validation_split_is_not_augmented(inputs):
    setup = set_up(make_job("sam", {"points": 1}, augment={}), inputs("sam"), Processes())
    assert not setup.train_split.cacheable and setup.val_split.cacheable
    assert (len(setup.train_split), len(setup.val_split)) == (5, 3)


@pytest.mark.parametrize(
    "train, words",
    [
        ({"trainable": ["tail"]}, "autoencoder has no trainable 'tail'; known: head, all"),
        ({"loss": "iou"}, "train.loss: unknown loss 'iou'; known: dice, bce, dice_bce, "),
        ({"optimizer": "sgd"}, "train.optimizer: unknown optimizer 'sgd'; known: adam, adamw, "),
        ({"prompt": {"points": 1}}, "autoencoder takes no points prompt"),
    ],
)
def test_wrong_settings_are_one_line(train, words, inputs):
    paths = inputs()
    refused(lambda: set_up(make_job(**train), paths, Processes()), words)


def test_a_setting_without_a_default_is_named(inputs, monkeypatch):
    monkeypatch.setattr(models.load("autoencoder").Autoencoder, "TRAIN_DEFAULTS", {"trainable": ["head"], "lr": 0.1})
    paths = inputs()
    refused(
        lambda: set_up(make_job(batch_size=2), paths, Processes()), "train.loss: missing, and the model has no default"
    )


def test_a_split_of_point_clouds_is_refused_by_a_model_of_images(inputs, tmp_path):
    paths = inputs()
    path = tmp_path / "clouds.parquet"
    with records.RecordWriter(path, records.Record, {"classes": ["disc"], "modality": "point_cloud"}):
        pass
    refused(
        lambda: set_up(make_job(), replace(paths, train=path), Processes()),
        "autoencoder takes images",
        "em holds point",
    )
