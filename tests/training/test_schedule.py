"""Learning rates against torch's schedulers."""

import pytest
import torch
from promptseg.core.train_config import Train
from promptseg.training import schedule
from torch.optim import lr_scheduler


@pytest.mark.parametrize("kind", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_rates_are_those_of_torch(kind, warmup):
    total = 20
    config = Train(epochs=1, trainable=["all"], lr=0.3, schedule=kind, warmup=warmup)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    first = int(warmup * total)
    later = lr_scheduler.ConstantLR(optimizer, 1.0)
    if kind == "cosine":
        later = lr_scheduler.CosineAnnealingLR(optimizer, total - first)
    if first:
        rising = lr_scheduler.LinearLR(optimizer, 1 / first, 1.0, first - 1)
        later = lr_scheduler.SequentialLR(optimizer, [rising, later], [first])
    for step in range(total):
        assert schedule.lr_at(config, step, total) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), step
        optimizer.step()
        later.step()


def test_the_warmup_of_few_steps_is_rounded_and_never_longer_than_these():
    config = Train(epochs=1, trainable=["all"], lr=1.0, warmup=0.9, schedule="cosine")
    assert [schedule.lr_at(config, 0, 1)] == [1.0]
    assert [schedule.lr_at(config, step, 2) for step in (0, 1)] == [0.5, 1.0]
