"""A project with tiny checkpoints and fine-tuned runs, and `promptseg segment` in it."""

import cv2
import numpy as np
import torch
from PIL import Image
from promptseg import models
from promptseg.cli import main
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from typer.testing import CliRunner

NO_HUB = "http://127.0.0.1:9"  # nothing listens there
TEXT = "--model", "clipseg", "--text", "fire"
RUNS = {  # model, what was trained, configuration
    "fires": ("clipseg", "network.decoder.", {"train": {"prompt": {"text": ["fire"]}}, "classes": ["blaze"]}),
    "pets": ("unet", "network.", {"train": {}, "classes": ["cat", "dog"]}),
    "tuned": ("unet", "network.", {"train": {}, "classes": ["cat", "dog"], "threshold": 0.35}),
}


def make(home):
    """Write checkpoints of sam, clipseg and unet and the weights of RUNS."""
    for name in ("sam", "clipseg", "unet"):
        model = models.load(name).create("tiny", 0)
        weights.write(home / "data/checkpoints" / name, model.configuration(), model.state_dict(), model.files())
    for run, (name, trainable, metadata) in RUNS.items():
        place = home / "data/checkpoints" / name
        model = models.load(name).load(place, len(metadata["classes"]))
        tensors = {key: value for key, value in model.state_dict().items() if key.startswith(trainable)}
        torch.manual_seed(1)
        for key, _ in model.named_parameters():
            if key in tensors:
                tensors[key] = tensors[key] + 0.05 * torch.randn_like(tensors[key])
        finetuned_weights.write(home / "data/weights" / run, tensors, model.NAME, weights.digest(place), metadata)
    return home


def command(folder):
    """`promptseg segment` with its results in a folder: returns its lines, or the message of its UserError."""

    def call(*arguments, out=folder) -> list[str] | str:
        arguments = [str(each) for each in (*arguments, "--out", out)]
        result = CliRunner().invoke(main.app, ["segment", *arguments], env={"PROMPTSEG_MIRROR": NO_HUB})
        call.errors = result.stderr
        if isinstance(result.exception, UserError):
            message = str(result.exception)
            assert len(message.splitlines()) == 1 and message.isprintable()
            return message
        if result.exception:
            raise result.exception
        return result.stdout.splitlines()

    return call


def photo(path, size=(40, 60), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    Image.fromarray(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)).save(path)
    return path
