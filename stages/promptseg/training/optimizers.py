"""Optimizers by name, and the learning rate by step.

Each optimizer takes the trainable parameters by name and the settings of the run, and returns torch optimizers that
update all of them between them. A new one is a function with a line `@OPTIMIZERS.register("its name")`; nothing else
lists them.

Adam is fused: one kernel for a step, whose square roots, unlike MKL's, are the same on all processors.
"""

import math
from collections.abc import Callable

import torch
from torch.optim import Adam, AdamW, Muon, Optimizer

from promptseg.core.train_config import CompleteTrain
from promptseg.training.registry import Registry

Parameters = dict[str, torch.nn.Parameter]

OPTIMIZERS = Registry("train.optimizer")


def get(name: str) -> Callable[[Parameters, CompleteTrain], list[Optimizer]]:
    """The optimizer of that name. Raises UserError, listing the known names."""
    return OPTIMIZERS.find(name)


@OPTIMIZERS.register("adam")
def adam(parameters: Parameters, config: CompleteTrain) -> list[Optimizer]:
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""
    return [Adam(parameters.values(), lr=config.lr, weight_decay=config.weight_decay, fused=True)]


@OPTIMIZERS.register("adamw")
def adamw(parameters: Parameters, config: CompleteTrain) -> list[Optimizer]:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
    return [AdamW(parameters.values(), lr=config.lr, weight_decay=config.weight_decay, fused=True)]


@OPTIMIZERS.register("muon")
def muon(parameters: Parameters, config: CompleteTrain) -> list[Optimizer]:
    """Muon (Jordan et al. 2024) for matrices, AdamW for all else and for embeddings, which are looked up.

    A step of Muon is as long in every direction in which the gradient is not 0, so that what few images show is not
    lost among what all show; networks trained from scratch learn faster. Both take the same lr, as torch scales Muon's
    steps to the size of AdamW's (Liu et al. 2025).
    """
    matrices = {name: value for name, value in parameters.items() if value.ndim == 2 and "embed" not in name}
    rest = {name: value for name, value in parameters.items() if name not in matrices}
    optimizers: list[Optimizer] = []
    if matrices:
        settings = {"lr": config.lr, "weight_decay": config.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
        optimizers.append(Muon(matrices.values(), **settings))
    return optimizers + (adamw(rest, config) if rest else [])


def lr_at(config: CompleteTrain, step: int, total: int) -> float:
    """Compute the learning rate of a step: a linear warmup, then constant or half a cosine wave down to 0.

    The first step of the warmup has 1 / n of the full rate and its n-th step all of it. The cosine is that of
    Loshchilov & Hutter 2017 without restarts, as in torch's CosineAnnealingLR.

    Args:
        config: lr, schedule, and warmup as a share of all steps.
        step: 0 .. total - 1.
        total: number of steps.
    """
    warmup = round(config.warmup * total)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    return config.lr * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
