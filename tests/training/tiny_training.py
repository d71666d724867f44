"""Runs of tiny models, and a forecast, that several tests of training share."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from promptseg import models
from promptseg.core.runs import FineTune
from promptseg.nn import weights
from promptseg.training import trainer
from promptseg.training.forecast import ResourceForecast
from promptseg.training.setup import Inputs, Job

GB = 10**9
FORECAST = ResourceForecast(
    world=1, epochs=10, peaks=(2 * GB, 3 * GB), limit=8 * GB, step_seconds=(1.0, 1.5), encode_seconds=4.0,
    validate_seconds=0.5, images=(100, 20, 120), cache_bytes=6 * GB, free_bytes=50 * GB,
)  # fmt: skip
PROMPTS = {
    "sam": {"points": 1}, "sam2": {"box": True}, "clipseg": {"text": ["disc"]}, "unet": {}, "unet_box": {"box": True},
    "autoencoder": {}, "clip_decoder_cnn": {}, "clip_decoder_unet": {"text": ["disc"]},
    "clip_decoder_transformer": {"text": "class"}, "medsam": {"box": True, "jitter": 0.02}, "pa_sam": {"points": 2},
}  # fmt: skip


def make_job(model: str, max_epochs: int | None = None, seed: int = 0, **train) -> Job:
    """Two epochs unless `train` says otherwise; all other settings are the model's."""
    prompt = {"prompt": PROMPTS[model]}
    settings = {"dataset": "em", "model": model, **prompt, "train": {"epochs": 2, **prompt, **train}}
    return Job(FineTune.model_validate(settings), max_epochs, seed)


def make_inputs(blobs: Callable, folder: Path, model: str, count: int = 5, val: int = 3, **images) -> Inputs:
    created = models.load(model).create("tiny", 0)
    weights.write(folder / "c", created.configuration(), created.state_dict(), created.files())
    splits = blobs("train", count, **images), blobs("val", val, seed=1)
    return Inputs(*splits, folder / "c", folder / "embeddings")


def train_tiny(job: Job, inputs: Inputs, folder: Path, out: str = "w") -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    """Train a run; returns its curve and the trained tensors."""
    outputs = trainer.Outputs(folder / f"{out}.state", folder / out, folder / f"{out}.csv")
    trainer.finetune(job, inputs, outputs)
    return pd.read_csv(outputs.curve), weights.read(outputs.weights)[1]
