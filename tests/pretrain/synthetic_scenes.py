"""Scenes, settings and imports that several tests of stages/pretrain share."""

import ast
import functools
import hashlib
from pathlib import Path

import settings
import yaml
from world import rendering
from world.attributes import DescribedImage, describe

PRETRAIN = Path(__file__).parents[2] / "stages" / "pretrain"
RAW = yaml.safe_load((PRETRAIN / "params.yaml").read_text())
INDICES = range(12)


@functools.cache
def described() -> list[DescribedImage]:
    return [describe(0, "train", index, "general") for index in range(24)]


def digest(index: int, kind: str) -> str:
    scene = rendering.render(0, "test", index, kind)
    content = scene.image.tobytes() + scene.labels.tobytes() + repr(scene.objects).encode()
    return hashlib.sha256(content).hexdigest()


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def sam_training() -> settings.SamTraining:
    """Settings of a training of seconds."""
    small = {
        "images": 2, "val_images": 1, "boxes": 2, "points": 2, "corrections": 1, "corrected_share": 0.999,
        "curriculum": {"flat": 1, "plain": 1},
    }  # fmt: skip
    train = {"epochs": 2, "batch_size": 2, "lr": 1e-3, "trainable": ["all"], "ema_decay": 0.5, "optimizer": "adamw"}
    return settings.SamTraining.model_validate({**RAW["sam"], **small, "train": {**train, "max_grad_norm": 1.0}})


def clip_training() -> settings.ClipTraining:
    """Settings of a training of seconds."""
    small = {"groups": 1, "val_groups": 1, "group_size": 4}
    train = {
        "epochs": 1,
        "batch_size": 1,
        "lr": 1e-3,
        "trainable": ["decoder"],
        "optimizer": "adamw",
        "loss": "dice_bce",
    }
    return settings.ClipTraining.model_validate({**RAW["clipseg"], **small, "train": train})
