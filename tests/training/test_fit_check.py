"""Whether a run fits: when it is measured, the batch that `auto` chooses, and what is suggested in place of a run."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from promptseg.cli import plan
from promptseg.cli.main import app
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import checkpoint_manager, fit_check, forecast, memory
from promptseg.training.setup import Inputs, set_up
from tiny_training import FORECAST, GB, make_inputs, make_job, train_tiny
from typer.testing import CliRunner

sam_job = functools.partial(make_job, "sam", trainable=["mask_decoder"], lr=1e-3)


@pytest.fixture
def inputs(blobs, tmp_path) -> Inputs:
    return make_inputs(blobs, tmp_path, "sam", count=9, val=2)


@pytest.fixture
def trained(inputs, tmp_path):
    """Trains a run; returns its curve and the bytes of its weights."""

    def train(out: str, **settings):
        curve, _ = train_tiny(sam_job(**settings), inputs, tmp_path, out)
        return curve, (tmp_path / out / weights.TENSORS).read_bytes()

    return train


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


def test_the_forecast_of_a_long_run_is_printed_and_its_bytes_are_the_same(trained, monkeypatch, capsys):
    curve, tensors = trained("short", epochs=1)
    assert "memory " not in capsys.readouterr().err
    monkeypatch.setattr(fit_check, "LONG_RUN", 9)
    long_curve, long_tensors = trained("long", epochs=1)
    printed = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert {"images", "memory", "time"} <= set(printed)
    assert curve.equals(long_curve) and tensors == long_tensors


@pytest.mark.parametrize("fits, batch_size, accumulation", [(9, 8, 3), (8, 8, 3), (7, 4, 6), (3, 2, 12), (1, 1, 24)])
def test_auto_takes_the_largest_fraction_that_fits_in_the_same_steps(fits, batch_size, accumulation, inputs, room):
    room(fits)
    job = sam_job(batch_size="auto", grad_accumulation_steps=3)
    setup = fit_check.fit_or_raise(job, inputs, Processes(), lambda _: False)
    configs = [setup.config, *(phase.config for phase in setup.training.phases)]
    assert {(config.batch_size, config.grad_accumulation_steps) for config in configs} == {(batch_size, accumulation)}


def test_auto_trains_the_same_whatever_fits_and_resumes_with_the_batch_that_it_had(trained, room, monkeypatch, capsys):
    room(8)
    whole, _ = trained("whole", batch_size="auto")
    assert whole.equals(trained("plain", batch_size=8)[0])
    room(2)
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_manager, "remove", lambda folder: None)  # as if it were killed at its very end
    fractions, tensors = trained("w", batch_size="auto")
    np.testing.assert_allclose(whole.loss, fractions.loss, atol=1e-5)
    measured = room(8)
    again, same = trained("w", batch_size="auto")
    assert "resuming after epoch 2" in capsys.readouterr().err and measured == []
    assert fractions.equals(again) and tensors == same


@pytest.fixture
def message(inputs):
    """The one line that refuses a run with these settings."""

    def describe(**train) -> str:
        with pytest.raises(UserError) as error:
            fit_check.describe_fit(sam_job(**train), inputs)
        assert "\n" not in str(error.value)
        return str(error.value)

    return describe


def test_settings_that_fit_are_suggested_for_a_run_that_does_not(message, monkeypatch):
    """An image takes 6 GB with a trained encoder, 4 with adapters, 3 with a frozen one and 1 with cached features."""

    def measure(setup, cache, processes):
        if not setup.training.segmenter.encoder_trainable:
            each = 1 if setup.train_split.cacheable else 3
        else:
            each = 4 if "lora" in setup.config.trainable else 6
        return replace(FORECAST, peaks=(each * GB, 2 * each * GB))

    monkeypatch.setattr(forecast, "measure", measure)
    assert message(trainable=["all"], batch_size=4) == (
        "a batch of 4 needs 24.0 GB of memory and 8.0 GB are available; these settings fit: "
        "batch_size: 1 and grad_accumulation_steps: 4, 6.0 GB; "
        "trainable: [lora, mask_decoder] with batch_size: 2 and grad_accumulation_steps: 2, 8.0 GB; "
        "trainable: [mask_decoder], so that features are cached, 4.0 GB"
    )
    assert message(augment={}, batch_size=3).endswith(
        "these settings fit: batch_size: 1 and grad_accumulation_steps: 3, 3.0 GB; "
        "augment: null, so that features are cached, 3.0 GB"
    )
    assert message(trainable=["lora"], batch_size=7).endswith(
        "batch_size: 1 and grad_accumulation_steps: 7, 4.0 GB; "
        "trainable: [mask_decoder], so that features are cached, 7.0 GB"
    )
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(FORECAST, peaks=(None, None)))
    nothing = message()
    assert "needs more than 8.0 GB of memory" in nothing and "no other settings of this run fit" in nothing
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(FORECAST, free_bytes=5 * GB))
    assert "the features of 120 images take 6.0 GB and 5.0 GB are free" in message(batch_size=4)


def test_a_real_shortage_ends_in_settings_that_fit(message, inputs, monkeypatch):
    """There is room for the gradients of the decoder and not for those of the encoder."""
    processes = Processes()

    def peak(**train) -> float:
        setup = set_up(sam_job(batch_size=2, **train), inputs, processes)
        return forecast.measure(setup, inputs.cache, processes).peak(16)

    decoder, encoder = peak(), peak(trainable=["all"])
    assert encoder > decoder
    monkeypatch.setattr(memory, "limit", lambda _: int(encoder + decoder) // 2)
    expected = "trainable: [mask_decoder], so that features are cached"
    assert expected in message(batch_size=16, trainable=["all"])


def test_the_doctor_describes_a_run_with_the_defaults_of_its_model_and_names_what_is_missing(
    inputs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {raw: data/raw/em, reader: em}}\nmodels: {sam: {}}\n"
        "zero_shot: {z: {dataset: em, model: sam, prompt: {points: 1}}}\n"
        "finetune: {r: {dataset: em, model: sam, prompt: {points: 1}, train: {epochs: 3, prompt: {points: 1}}}}\n"
    )
    with pytest.raises(UserError, match="unknown run 'x'; known: z, r"):
        plan.plan("x")
    for name in ("z", "r"):
        expected = "^data/prepared/em: not .*`dvc repro preprocess@em checkpoint@sam` makes it"
        with pytest.raises(UserError, match=expected):
            plan.plan(name)
    (tmp_path / "data/prepared/em").mkdir(parents=True)
    for path in (inputs.train, inputs.val):
        path.rename(tmp_path / "data/prepared/em" / path.name)
    (tmp_path / "data/checkpoints").mkdir()
    inputs.checkpoint.rename(tmp_path / "data/checkpoints/sam")
    done = CliRunner().invoke(app, ["doctor", "--fit", "r"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[:2] == ["r: mask_decoder of sam on em", "images  9 to train on, 2 to validate on"]
    assert [line.split()[0] for line in lines[2:]] == ["memory", "time", "disk"] and "of a batch of 2;" in lines[2]
    assert not (tmp_path / "data/embeddings").exists()
