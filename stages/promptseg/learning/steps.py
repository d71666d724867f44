"""One step of an optimiser along a gradient that several processes share."""

import torch

from promptseg.base.errors import Problem
from promptseg.features.distributed import Processes


def step(
    losses: list[torch.Tensor], optimiser: torch.optim.Optimizer, parameters: list, processes: Processes, ids: list[str]
) -> None:
    """One step along the mean gradient of the batch's maps, wherever they were computed."""
    optimiser.zero_grad(set_to_none=False)
    total = torch.cat(losses).sum() if losses else None
    if total is not None:
        total.backward()
    for parameter in parameters:
        if parameter.grad is None:  # this process had no map to learn from, but the sum needs its place
            parameter.grad = torch.zeros_like(parameter)
    count = torch.tensor(
        [float(sum(map(len, losses))), 0.0 if total is None else total.item()], device=processes.device
    )
    processes.sum([parameter.grad for parameter in parameters] + [count])
    if not torch.isfinite(count).all():
        raise Problem(f"the loss is no longer finite, at pictures {', '.join(ids)}; lower lr")
    if count[0] > 0:
        for parameter in parameters:
            parameter.grad /= count[0]
        optimiser.step()
