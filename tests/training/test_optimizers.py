"""Optimizers by name, which parameters each updates, and learning rates against torch's schedulers."""

import pytest
import torch
from promptseg.core.train_config import Train
from promptseg.training import optimizers
from torch.optim import lr_scheduler

CONFIG = Train(epochs=1, lr=0.05, weight_decay=0.1)


def parameters(**shapes: tuple[int, ...]) -> dict[str, torch.nn.Parameter]:
    return {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}


def test_each_updates_all_parameters_once_with_the_settings_of_the_run():
    given = parameters(weight=(2, 3), bias=(2,), embed=(4, 3))
    assert list(optimizers.OPTIMIZERS) == ["adam", "adamw", "muon"]
    for name in optimizers.OPTIMIZERS:
        groups = [group for optimizer in optimizers.get(name)(given, CONFIG) for group in optimizer.param_groups]
        updated = [id(value) for group in groups for value in group["params"]]
        assert sorted(updated) == sorted(map(id, given.values()))
        assert {(group["lr"], group["weight_decay"]) for group in groups} == {(0.05, 0.1)}


def test_muon_takes_matrices_that_are_no_embeddings():
    given = parameters(weight=(2, 3), bias=(2,), embed=(4, 3))
    muon, _ = optimizers.muon(given, CONFIG)
    assert [value is given["weight"] for value in muon.param_groups[0]["params"]] == [True]
    assert [type(made) for made in optimizers.muon(parameters(bias=(2,)), CONFIG)] == [torch.optim.AdamW]
    assert [type(made) for made in optimizers.muon(parameters(weight=(2, 3)), CONFIG)] == [torch.optim.Muon]


def test_adam_is_fused_and_steps_as_the_paper_says():
    for name, decoupled in (("adam", False), ("adamw", True)):
        value = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        (made,) = optimizers.get(name)({"weight": value}, CONFIG)
        assert made.defaults["fused"]
        expected, first, second = value.detach().double(), torch.zeros(3).double(), torch.zeros(3).double()
        for step in (1, 2, 3):
            value.grad = torch.tensor([0.5, -1.0, 2.0]) * step
            made.step()
            gradient = value.grad.double() + (0 if decoupled else 0.1 * expected)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            expected = expected * (1 - 0.05 * 0.1) if decoupled else expected
            expected = expected - 0.05 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        torch.testing.assert_close(value.detach().double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_learning_rates_are_those_of_torch(kind, warmup):
    total = 20
    config = Train(epochs=1, lr=0.3, schedule=kind, warmup=warmup)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    first = int(warmup * total)
    later = lr_scheduler.ConstantLR(optimizer, 1.0)
    if kind == "cosine":
        later = lr_scheduler.CosineAnnealingLR(optimizer, total - first)
    if first:
        rising = lr_scheduler.LinearLR(optimizer, 1 / first, 1.0, first - 1)
        later = lr_scheduler.SequentialLR(optimizer, [rising, later], [first])
    for step in range(total):
        assert optimizers.lr_at(config, step, total) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), step
        optimizer.step()
        later.step()


def test_the_warmup_of_few_steps_is_rounded_and_never_longer_than_these():
    config = Train(epochs=1, lr=1.0, warmup=0.9, schedule="cosine")
    assert optimizers.lr_at(config, 0, 1) == 1.0
    assert [optimizers.lr_at(config, step, 2) for step in (0, 1)] == [0.5, 1.0]
    shorter = Train(epochs=1, lr=1.0, warmup=0.3)
    assert [optimizers.lr_at(shorter, step, 11) for step in (1, 2)] == [2 / 3, 1.0]
