"""Learning rate by step: a linear warmup, then constant or half a cosine wave down to 0."""

import math

from promptseg.core.train_config import CompleteTrain


def lr_at(config: CompleteTrain, step: int, total: int) -> float:
    """Compute the learning rate of a step.

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
