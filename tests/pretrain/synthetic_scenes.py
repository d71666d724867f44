"""Scenes and settings that several tests of stages/pretrain share."""

import functools
import hashlib
from pathlib import Path

import settings
import yaml
from world import rendering
from world.attributes import DescribedImage, describe

PRETRAIN = Path(__file__).parents[2] / "stages" / "pretrain"
RAW = yaml.safe_load((PRETRAIN / "params.yaml").read_text())
INDICES = range(40)


@functools.cache
def described() -> list[DescribedImage]:
    return [describe(0, "train", index, "general") for index in INDICES]


def digest(index: int, kind: str) -> str:
    scene = rendering.render(0, "test", index, kind)
    content = scene.image.tobytes() + scene.labels.tobytes() + repr(scene.objects).encode()
    return hashlib.sha256(content).hexdigest()


def sam_training() -> settings.SamTraining:
    """Settings of a training of seconds."""
    small = {
        "images": 4, "val_images": 2, "boxes": 2, "points": 2, "corrections": 1, "corrected_share": 0.999,
        "curriculum": {"flat": 1, "plain": 1},
    }  # fmt: skip
    train = {
        "epochs": 3, "batch_size": 2, "lr": 1e-3, "trainable": ["all"], "ema_decay": 0.5, "optimizer": "adamw",
        "max_grad_norm": 1.0,
    }  # fmt: skip
    return settings.SamTraining.model_validate({**RAW["sam"], **small, "train": train})


def clip_training() -> settings.ClipTraining:
    """Settings of a training of seconds."""
    small = {"groups": 2, "val_groups": 1, "group_size": 4}
    train = {
        "epochs": 2, "batch_size": 1, "lr": 1e-3, "trainable": ["decoder"], "optimizer": "adamw", "loss": "dice_bce",
    }  # fmt: skip
    return settings.ClipTraining.model_validate({**RAW["clipseg"], **small, "train": train})
