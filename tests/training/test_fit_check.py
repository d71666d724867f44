"""Whether a run fits: when it is measured, the batch that `auto` chooses, and what is suggested in place of a run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from forecast_fixtures import FORECAST, GB, make_inputs, make_job
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import checkpoint_manager, fit_check, forecast, memory, trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.setup import Inputs, Job, set_up


@pytest.fixture
def inputs(blobs, tmp_path) -> Inputs:
    return make_inputs(blobs, tmp_path)


@pytest.fixture
def trained(inputs, tmp_path):
    def train(job: Job, out: str) -> tuple[pd.DataFrame, bytes]:
        outputs = trainer.Outputs(tmp_path / f"{out}.state", tmp_path / out, tmp_path / f"{out}.csv")
        trainer.finetune(job, inputs, outputs)
        return pd.read_csv(outputs.curve), (outputs.weights / weights.TENSORS).read_bytes()

    return train


def test_the_forecast_of_a_long_run_is_printed_and_its_bytes_are_the_same(trained, monkeypatch, capsys):
    curve, tensors = trained(make_job(), "short")
    assert "memory " not in capsys.readouterr().err
    monkeypatch.setattr(fit_check, "LONG_RUN", 1)
    long_curve, long_tensors = trained(make_job(), "long")
    printed = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert {"images", "memory", "time"} <= set(printed)
    assert curve.equals(long_curve) and tensors == long_tensors


@pytest.fixture
def room(monkeypatch):
    """Lets so many images of a step fit, and returns the batch sizes that are measured."""

    def for_images(count: int) -> list[int]:
        measured = []

        def measure(setup, cache, processes):
            measured.append(setup.config.batch_size)
            return replace(FORECAST, limit=(1 + count) * GB)

        monkeypatch.setattr(forecast, "measure", measure)
        return measured

    return for_images


@pytest.mark.parametrize("fits, batch_size, accumulation", [(9, 8, 3), (8, 8, 3), (7, 4, 6), (3, 2, 12), (1, 1, 24)])
def test_auto_takes_the_largest_fraction_that_fits_in_the_same_steps(fits, batch_size, accumulation, inputs, room):
    room(fits)
    job = make_job(batch_size="auto", grad_accumulation_steps=3)
    setup = fit_check.fit_or_raise(job, inputs, Processes(), lambda _: False)
    configs = [setup.config, *(phase.config for phase in setup.training.phases)]
    assert {(config.batch_size, config.grad_accumulation_steps) for config in configs} == {(batch_size, accumulation)}


def test_auto_trains_the_same_whatever_fits(trained, room):
    room(8)
    whole, _ = trained(make_job(batch_size="auto"), "whole")
    room(2)
    fractions, _ = trained(make_job(batch_size="auto"), "fractions")
    plain, _ = trained(make_job(batch_size=8), "plain")
    np.testing.assert_allclose(whole.loss, fractions.loss, atol=1e-5)
    assert whole.equals(plain)


def test_a_run_that_has_started_resumes_with_the_batch_that_it_had(trained, room, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(CheckpointManager, "remove", lambda self: None)
    room(2)
    curve, tensors = trained(make_job(batch_size="auto"), "w")
    measured = room(8)
    again, same = trained(make_job(batch_size="auto"), "w")
    assert "resuming after epoch 2" in capsys.readouterr().err and measured == []
    assert curve.equals(again) and tensors == same


def message(job: Job, inputs: Inputs) -> str:
    with pytest.raises(UserError) as error:
        fit_check.describe_fit(job, inputs)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_settings_that_fit_are_suggested_for_a_run_that_does_not(inputs, monkeypatch):
    """An image takes 6 GB with a trained encoder, 4 with adapters, 3 with a frozen one and 1 with cached features."""

    def measure(setup, cache, processes):
        if not setup.training.segmenter.encoder_trainable:
            each = 1 if setup.train_split.cacheable else 3
        else:
            each = 4 if "lora" in setup.config.trainable else 6
        return replace(FORECAST, peaks=(each * GB, 2 * each * GB))

    monkeypatch.setattr(forecast, "measure", measure)
    assert message(make_job(trainable=["all"], batch_size=4), inputs) == (
        "a batch of 4 needs 24.0 GB of memory and 8.0 GB are available; these settings fit: "
        "batch_size: 1 and grad_accumulation_steps: 4, 6.0 GB; "
        "trainable: [lora, mask_decoder] with batch_size: 2 and grad_accumulation_steps: 2, 8.0 GB; "
        "trainable: [mask_decoder], so that features are cached, 4.0 GB"
    )
    assert message(make_job(augment={}, batch_size=3), inputs).endswith(
        "these settings fit: batch_size: 1 and grad_accumulation_steps: 3, 3.0 GB; "
        "augment: null, so that features are cached, 3.0 GB"
    )
    assert message(make_job(trainable=["lora"], batch_size=7), inputs).endswith(
        "batch_size: 1 and grad_accumulation_steps: 7, 4.0 GB; "
        "trainable: [mask_decoder], so that features are cached, 7.0 GB"
    )
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(FORECAST, peaks=(None, None)))
    nothing = message(make_job(), inputs)
    assert "needs more than 8.0 GB of memory" in nothing and "no other settings of this run fit" in nothing
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(FORECAST, free_bytes=5 * GB))
    assert "the features of 120 images take 6.0 GB and 5.0 GB are free" in message(make_job(batch_size=4), inputs)


def test_a_real_shortage_ends_in_settings_that_fit(inputs, monkeypatch):
    """There is room for the gradients of the decoder and not for those of the encoder."""
    processes = Processes()

    def measured(**train) -> forecast.ResourceForecast:
        return forecast.measure(set_up(make_job(batch_size=2, **train), inputs, processes), inputs.cache, processes)

    decoder, encoder = measured(), measured(trainable=["all"])
    assert encoder.peak(16) > decoder.peak(16)
    between = (encoder.peak(16) + decoder.peak(16)) // 2
    monkeypatch.setattr(memory, "limit", lambda _: between)
    expected = "trainable: [mask_decoder], so that features are cached"
    assert expected in message(make_job(batch_size=16, trainable=["all"]), inputs)


def test_a_run_is_described_with_the_defaults_of_its_model(inputs):
    job = make_job()
    bare = job.with_train(job.run.train.model_copy(update={"trainable": None, "lr": None}))
    lines = fit_check.describe_fit(bare, inputs).splitlines()
    assert lines[0] == "images  9 to train on, 3 to validate on"
    assert lines[1].startswith("memory") and "of a batch of 2;" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["time", "disk"]
    assert not inputs.cache.exists()
