"""The learning rate against torch's own schedulers."""

import pytest
import torch
from promptseg.core import params
from promptseg.training import schedule
from torch.optim import lr_scheduler


@pytest.mark.parametrize("kind", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_it_is_what_torch_has(kind, warmup):
    total = 20
    settings = params.Train(epochs=1, parts=["all"], lr=0.3, schedule=kind, warmup=warmup)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    first = int(warmup * total)
    later = lr_scheduler.ConstantLR(optimizer, 1.0)
    if kind == "cosine":
        later = lr_scheduler.CosineAnnealingLR(optimizer, total - first)
    if first:
        rising = lr_scheduler.LinearLR(optimizer, 1 / first, 1.0, first - 1)
        later = lr_scheduler.SequentialLR(optimizer, [rising, later], [first])
    for step in range(total):
        assert schedule.rate(settings, step, total) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), step
        optimizer.step()
        later.step()


def test_a_share_of_few_steps_is_rounded_and_never_longer_than_they_are():
    settings = params.Train(epochs=1, parts=["all"], lr=1.0, warmup=0.9, schedule="cosine")
    assert [schedule.rate(settings, 0, 1)] == [1.0]
    assert [schedule.rate(settings, step, 2) for step in (0, 1)] == [0.5, 1.0]
