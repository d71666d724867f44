"""The learning rate by step: a linear warm-up, then constant or half a cosine wave down to 0."""

import math

from promptseg.core import params


def rate(settings: params.Train, step: int, total: int) -> float:
    """The learning rate of step 0 .. total - 1.

    The warm-up's first step has 1 / n of the full rate and its n-th all of it; the wave is that of Loshchilov &
    Hutter 2017 without restarts, as in torch's CosineAnnealingLR.
    """
    warmup = round(settings.warmup * total)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    return settings.lr * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
