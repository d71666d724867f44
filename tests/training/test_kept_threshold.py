"""The threshold that is kept with the weights: the one that a validation of these very weights would choose."""

import pytest
from promptseg.core.runs import FineTune
from promptseg.data import records
from promptseg.inference import prediction
from promptseg.nn import weights
from promptseg.training import checkpoint_manager
from promptseg.training.setup import Job
from tiny_training import make_inputs, make_job, train_tiny


def chosen_afterwards(job: Job, inputs, folder) -> float | None:
    """As `prediction` chooses it for weights that are read from a folder."""
    paths = prediction.Inputs(inputs.val, inputs.checkpoint, inputs.cache, folder)
    prepare_split = prediction.load(job.run.model, job.run.dataset, paths, only_foreground=False)
    return prediction.choose_threshold(prepare_split, inputs.val, job.run.prompt)


@pytest.mark.parametrize(
    "model, settings",
    [
        ("unet", {"epochs": 4, "lr": 2e-3}), ("unet", {"epochs": 3, "lr": 2e-3, "keep": "last", "ema_decay": 0.7}),
        ("clipseg", {"epochs": 2, "lr": 2e-3}), ("sam", {"trainable": ["lora", "mask_decoder"], "lr": 2e-3}),
    ],
    ids=["best epoch", "last epoch, averaged", "phrases", "trained encoder"],
)  # fmt: skip
def test_it_is_the_best_on_the_validation_split_with_the_weights_that_are_saved(blobs, tmp_path, model, settings):
    inputs, job = make_inputs(blobs, tmp_path, model, 6, 4), make_job(model, **settings)
    train_tiny(job, inputs, tmp_path)
    threshold = weights.read(tmp_path / "w")[0]["threshold"]
    assert threshold == chosen_afterwards(job, inputs, tmp_path / "w")
    paths = prediction.Inputs(inputs.train, inputs.checkpoint, inputs.cache, tmp_path / "w")
    prediction.predict(job.run, paths, tmp_path / "p.parquet")  # without the validation split
    assert records.open_predictions(tmp_path / "p.parquet").metadata["threshold"] == threshold


def test_it_is_that_of_the_prompt_of_the_test(blobs, tmp_path):
    inputs = make_inputs(blobs, tmp_path, "clipseg", 4, 4)
    train = {"prompt": {"text": ["disc"]}, "epochs": 1, "lr": 2e-3}
    run = {"dataset": "em", "model": "clipseg", "prompt": {"text": ["something dark"]}, "train": train}
    job = Job(FineTune.model_validate(run), None, 0)
    train_tiny(job, inputs, tmp_path)
    assert weights.read(tmp_path / "w")[0]["threshold"] == chosen_afterwards(job, inputs, tmp_path / "w")


def test_a_resumed_run_keeps_that_of_an_epoch_before(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_manager, "remove", lambda folder: None)  # as if killed at its end
    inputs, job = make_inputs(blobs, tmp_path, "unet", 6, 4), make_job("unet", epochs=3, lr=2e-3)
    train_tiny(job, inputs, tmp_path)
    first = (tmp_path / "w" / weights.CONFIG).read_bytes()
    train_tiny(job, inputs, tmp_path)  # nothing is left to train
    assert (tmp_path / "w" / weights.CONFIG).read_bytes() == first and b'"threshold"' in first


@pytest.mark.parametrize("case", ["no ground truth", "automatic masks", "background"])
def test_there_is_none_where_none_can_be_chosen(blobs, tmp_path, case):
    model, prompt = ("sam", {"automatic": {"points": 2}}) if case == "automatic masks" else ("unet", {})
    inputs, job = make_inputs(blobs, tmp_path, model, 4), make_job(model, epochs=1)
    job = Job(job.run.model_copy(update={"prompt": type(job.run.prompt)(**prompt)}), None, 0)
    if case == "no ground truth":
        inputs.val.unlink()
        blobs("val", 2, empty=(0, 1))
    if case == "background":
        for path in (inputs.train, inputs.val):
            split = records.open_split(path)
            metadata, rows = {**split.metadata, "classes": ["background", "disc"]}, list(split)
            with records.RecordWriter(path, records.Record, metadata) as out:
                for row in rows:
                    out.add(row)
    train_tiny(job, inputs, tmp_path)
    assert "threshold" not in weights.read(tmp_path / "w")[0]
