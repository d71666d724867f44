"""Will it fit: what is measured, what is said of it, what `batch: auto` chooses, and that nothing is changed by it."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from promptseg import models
from promptseg.cli import plan
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import checkpoint_manager, fit_check, forecast, memory, trainer
from promptseg.training.forecast import Plan
from promptseg.training.setup import Inputs, set_up
from typer.testing import CliRunner

GB = 10**9
PLAN = Plan(1, 10, (2 * GB, 3 * GB), 8 * GB, (1.0, 1.5), 4.0, 0.5, (100, 20, 120), 6 * GB, 50 * GB)


def run(model: str = "sam", **train) -> params.FineTune:
    asked = {"prompt": {"points": 1} if model == "sam" else {}}
    settings = {"epochs": 2, "lr": 1e-3, "parts": ["mask_decoder" if model == "sam" else "all"], **asked, **train}
    return params.FineTune.model_validate({"dataset": "em", "model": model, **asked, "train": settings})


@pytest.fixture
def inputs(blobs, tmp_path):
    """Gives the inputs of a run of a tiny model."""

    def make(model: str = "sam", count: int = 9) -> Inputs:
        made = models.load(model).create("tiny", 0)
        weights.write(tmp_path / "c", made.configuration(), made.state_dict(), made.files())
        return Inputs(blobs("train", count), blobs("val", 3, seed=1), tmp_path / "c", tmp_path / "embeddings")

    return make


@pytest.fixture
def trained(inputs, tmp_path):
    def train(settings: params.FineTune, out: str) -> tuple[pd.DataFrame, bytes]:
        to = tmp_path / f"{out}.state", tmp_path / out, tmp_path / f"{out}.csv"
        trainer.finetune(settings, None, 0, inputs(settings.model), *to)
        return pd.read_csv(to[2]), (to[1] / weights.TENSORS).read_bytes()

    return train


def test_a_batch_takes_what_follows_from_one_picture_and_two():
    assert [PLAN.peak(batch) for batch in (1, 2, 4, 7)] == [2 * GB, 3 * GB, 5 * GB, 8 * GB]
    assert PLAN.goes(7) and not PLAN.goes(8)
    assert replace(PLAN, world=4).peak(16) == 5 * GB  # four pictures in each process
    assert replace(PLAN, peaks=(2 * GB, None)).peak(1) == 2 * GB and not replace(PLAN, peaks=(2 * GB, None)).goes(2)
    assert not replace(PLAN, peaks=(None, None)).goes(1)
    assert PLAN.stores and not replace(PLAN, disk=48 * GB).stores


def test_the_plan_in_words():
    assert PLAN.text(4).splitlines() == [
        "pictures  100 to learn from, 20 to measure on",
        "memory    5.0 GB at the peak of a batch of 4; there may be 8.0 GB",
        # 120 * 4 s; 25 batches of 1 + 3 * 0.5 s and 20 * 0.5 s
        "time      8.0 min to encode 120 pictures, then 72.5 s an epoch, 20.1 min for 10 epochs",
        "disk      6.0 GB for their features; 50.0 GB are free",
    ]
    there = replace(PLAN, pictures=(100, 20, 0), peaks=(None, None), check=math.nan)
    assert there.text(4).splitlines()[1:] == [
        "memory    more than 8.0 GB at the peak of a batch of 4; there may be 8.0 GB"
    ]


def test_memory_is_watched_and_work_beyond_the_limit_is_refused_before_the_system_kills():
    processes = Processes()
    limit = memory.limit(processes)
    with memory.watched(processes, limit) as small:
        torch.ones(1000)
    with memory.watched(processes, limit) as large:
        torch.ones(75_000_000)
    assert 250e6 < large.bytes - small.bytes < 450e6
    with pytest.raises(memory.Exhausted):
        with memory.watched(processes, small.bytes + 200_000_000):
            torch.ones(1_000_000_000)
    torch.ones(75_000_000)  # the bound is gone
    with pytest.raises(RuntimeError, match="shape"):
        with memory.watched(processes, limit):
            torch.ones(3).reshape(2, 2)


def test_a_container_s_bound_counts_and_files_that_it_read_do_not(tmp_path, monkeypatch):
    processes, held = Processes(), memory.psutil.Process().memory_info().rss
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    free = memory.limit(processes)
    (tmp_path / "memory.max").write_text(f"{3 * GB}\n")
    (tmp_path / "memory.current").write_text(f"{5 * GB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {GB}\n")
    assert memory.limit(processes) - held == pytest.approx(0.8 * 1.5 * GB, abs=3e8)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.limit(processes) == pytest.approx(free, rel=0.2)


@pytest.mark.parametrize("how", [{}, {"parts": ["lora"]}, {"augment": {}, "ema": 0.9}])
def test_what_is_measured_is_there_and_no_weight_is_changed(how, inputs):
    processes, where = Processes(), inputs()
    ready = set_up(run(**how), None, 0, where, processes)
    before = {key: value.clone() for key, value in ready.segmenter.state_dict().items()}
    plan = forecast.measure(ready, where.cache, processes)
    assert all(torch.equal(value, before[key]) for key, value in ready.segmenter.state_dict().items())
    assert all(parameter.grad is None for parameter in ready.segmenter.parameters())
    assert 0 < plan.peaks[0] <= plan.limit and min(*plan.steps, plan.encode) > 0 and plan.check >= 0
    # The features of the tiny SAM are 64 x 32 x 32 numbers of two bytes.
    encoded = {"parts": 0, "augment": 3}.get(next(iter(how), ""), 12)
    assert plan.pictures == (9, 3, encoded) and plan.disk == encoded * 64 * 32 * 32 * 2
    for split in ready.splits:
        split.keep(ready.digest, where.cache, processes)
    again = set_up(run(**how), None, 0, where, processes)
    assert forecast.measure(again, where.cache, processes).pictures == (9, 3, 0)


def test_a_long_run_is_planned_aloud_and_ends_with_the_same_bytes(trained, monkeypatch, capsys):
    curve, learned = trained(run(), "short")
    assert "memory " not in capsys.readouterr().err
    monkeypatch.setattr(fit_check, "LONG", 1)
    planned, same = trained(run(), "long")
    said = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert {"pictures", "memory", "time"} <= set(said)
    assert curve.equals(planned) and learned == same


@pytest.fixture
def room(monkeypatch):
    """Lets so many pictures of a step fit."""

    def for_pictures(count: int) -> list[int]:
        measured = []

        def measure(ready, cache, processes):
            measured.append(ready.settings.batch)
            return replace(PLAN, limit=(1 + count) * GB)

        monkeypatch.setattr(forecast, "measure", measure)
        return measured

    return for_pictures


@pytest.mark.parametrize("fits, batch, accumulate", [(9, 8, 3), (8, 8, 3), (7, 4, 6), (3, 2, 12), (1, 1, 24)])
def test_auto_takes_the_largest_part_that_fits_in_the_same_steps(fits, batch, accumulate, inputs, room):
    room(fits)
    auto = run(batch="auto", accumulate=3)
    ready = fit_check.fitted(auto, None, 0, inputs(), Processes(), lambda _: False)
    assert (ready.settings.batch, ready.settings.accumulate) == (batch, accumulate)
    assert all((phase.settings.batch, phase.settings.accumulate) == (batch, accumulate) for phase in ready.phases)


def test_auto_learns_the_same_whatever_fits(trained, room):
    room(8)
    whole, _ = trained(run(batch="auto"), "whole")
    room(2)
    parts, _ = trained(run(batch="auto"), "parts")
    plain, _ = trained(run(batch=8), "plain")
    np.testing.assert_allclose(whole.loss, parts.loss, atol=1e-5)
    assert whole.equals(plain)


def test_a_run_that_was_begun_goes_on_with_the_batch_that_it_had(trained, room, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint_manager, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint_manager.State, "remove", lambda self: None)
    room(2)
    curve, learned = trained(run(batch="auto"), "w")
    measured = room(8)
    again, same = trained(run(batch="auto"), "w")
    assert "goes on after epoch 2" in capsys.readouterr().err and measured == []
    assert curve.equals(again) and learned == same


def advice(settings: params.FineTune, inputs: Inputs) -> str:
    with pytest.raises(UserError) as problem:
        fit_check.look(settings, None, 0, inputs)
    assert "\n" not in str(problem.value)
    return str(problem.value)


def test_what_would_fit_is_said_of_what_does_not(inputs, monkeypatch):
    """A picture of an encoder that learns takes 6 GB, with adapters 4, encoded as it goes 3, of a kept one 1."""

    def measure(ready, cache, processes):
        if not ready.segmenter.encoder_trainable:
            each = 1 if ready.splits[0].frozen else 3
        else:
            each = 4 if "lora" in ready.settings.parts else 6
        return replace(PLAN, peaks=(each * GB, 2 * each * GB))

    monkeypatch.setattr(forecast, "measure", measure)
    where = inputs()
    assert advice(run(parts=["all"], batch=4), where) == (
        "a step of 4 takes 24.0 GB of memory, where there may be 8.0 GB; what would fit: "
        "batch: 1 and accumulate: 4, 6.0 GB; parts: [lora, mask_decoder] with batch: 2 and accumulate: 2, 8.0 GB; "
        "parts: [mask_decoder], whose features are computed once, 4.0 GB"
    )
    assert advice(run(augment={}, batch=3), where).endswith(
        "what would fit: batch: 1 and accumulate: 3, 3.0 GB; no augment, so that features are computed once, 3.0 GB"
    )
    assert advice(run(parts=["lora"], batch=7), where).endswith(
        "batch: 1 and accumulate: 7, 4.0 GB; parts: [mask_decoder], whose features are computed once, 7.0 GB"
    )
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(PLAN, peaks=(None, None)))
    assert "nothing that it could do in its place would fit" in advice(run(), where)
    monkeypatch.setattr(forecast, "measure", lambda *_: replace(PLAN, free=5 * GB))
    assert "the features of 120 pictures take 6.0 GB and 5.0 GB are free" in advice(run(batch=4), where)


def test_real_shortage_is_met_with_what_would_fit(inputs, monkeypatch):
    """Beyond what the process holds there is room for the decoder and not for the encoder's gradients."""
    where, processes = inputs(), Processes()
    decoder = forecast.measure(set_up(run(batch=2), None, 0, where, processes), where.cache, processes)
    encoder = forecast.measure(set_up(run(batch=2, parts=["all"]), None, 0, where, processes), where.cache, processes)
    assert encoder.peak(16) > decoder.peak(16)
    between = (encoder.peak(16) + decoder.peak(16)) // 2
    monkeypatch.setattr(memory, "limit", lambda _: between)
    assert "parts: [mask_decoder], whose features are computed once" in advice(run(batch=16, parts=["all"]), where)


def test_the_doctor_tells_of_a_run_and_what_is_missing(inputs, tmp_path, monkeypatch):
    from promptseg.cli.main import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {reader: em}}\nmodels: {sam: {}}\n"
        "zero_shot: {z: {dataset: em, model: sam, prompt: {points: 1}}}\n"
        "finetune: {r: {dataset: em, model: sam, prompt: {points: 1}, train: {epochs: 3, parts: [mask_decoder],"
        " prompt: {points: 1}}}}\n"
    )
    with pytest.raises(UserError, match="z trains nothing; fine-tuned runs: r"):
        plan.plan("z")
    with pytest.raises(UserError, match="data/prepared/em: not there; `dvc repro preprocess@em checkpoint@sam` makes it"):
        plan.plan("r")
    where = inputs()
    (tmp_path / "data/prepared/em").mkdir(parents=True)
    for path in (where.train, where.val):
        path.rename(tmp_path / "data/prepared/em" / path.name)
    (tmp_path / "data/checkpoints").mkdir()
    where.checkpoint.rename(tmp_path / "data/checkpoints/sam")
    done = CliRunner().invoke(app, ["doctor", "--fit", "r"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "r: mask_decoder of sam on em" and lines[1] == "pictures  9 to learn from, 3 to measure on"
    assert [line.split()[0] for line in lines[2:]] == ["memory", "time", "disk"]
    assert not (tmp_path / "data/embeddings").exists()
