"""Runs and forecasts that the tests of forecast and fit_check share."""

from collections.abc import Callable
from pathlib import Path

from promptseg import models
from promptseg.core.runs import FineTune
from promptseg.nn import weights
from promptseg.training.forecast import ResourceForecast
from promptseg.training.setup import Inputs, Job

GB = 10**9
FORECAST = ResourceForecast(
    world=1, epochs=10, peaks=(2 * GB, 3 * GB), limit=8 * GB, step_seconds=(1.0, 1.5), encode_seconds=4.0,
    validate_seconds=0.5, images=(100, 20, 120), cache_bytes=6 * GB, free_bytes=50 * GB,
)  # fmt: skip


def make_job(model: str = "sam", **train) -> Job:
    prompt = {"prompt": {"points": 1} if model == "sam" else {}}
    settings = {"epochs": 2, "lr": 1e-3, "trainable": ["mask_decoder" if model == "sam" else "all"], **prompt, **train}
    run = FineTune.model_validate({"dataset": "em", "model": model, **prompt, "train": settings})
    return Job(run, None, 0)


def make_inputs(blobs: Callable, folder: Path, model: str = "sam", count: int = 9) -> Inputs:
    """The inputs of a run of a tiny model."""
    created = models.load(model).create("tiny", 0)
    weights.write(folder / "c", created.configuration(), created.state_dict(), created.files())
    return Inputs(blobs("train", count), blobs("val", 3, seed=1), folder / "c", folder / "embeddings")
