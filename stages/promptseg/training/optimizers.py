"""The optimizers by name, and which of them steps which parameter.

Muon (Jordan et al. 2024) is for matrices: its steps are as long along every direction in which the gradient is not 0,
so that what only few pictures teach is not drowned by what all of them do. A network that begins with nothing learns
faster by it. Everything else, and what is looked up and not multiplied, is AdamW's. Both take the same rate: torch
scales Muon's steps to the size of AdamW's (Liu et al. 2025).
"""

import functools

import torch
from torch.optim import Adam, AdamW, Muon, Optimizer

from promptseg.core import params

MUON = functools.partial(Muon, adjust_lr_fn="match_rms_adamw")


def made(parameters: dict[str, torch.nn.Parameter], settings: params.Train) -> list[tuple[Optimizer, list[str]]]:
    """Optimizers that step all these parameters between them, each with the names of its own, in its order."""
    names = list(parameters)
    if settings.optimizer == "muon":
        matrices = [name for name in names if parameters[name].ndim == 2 and "embed" not in name]
        shared = [(MUON, matrices), (AdamW, [name for name in names if name not in matrices])]
    else:
        shared = [({"adam": Adam, "adamw": AdamW}[settings.optimizer], names)]
    how = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    return [(kind([parameters[name] for name in own], **how), own) for kind, own in shared if own]
