"""Optimizer steps against a plain loop with torch's optimizers, and the same steps after an interruption."""

import copy

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.train_config import Train
from promptseg.training import schedule
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def losses(model: torch.nn.Module, step: int, count: int = 6) -> torch.Tensor:
    """(count,), of samples that belong to this step."""
    samples = torch.randn(count, 3, generator=torch.Generator().manual_seed(step))
    return (model(samples)[:, 0] - samples.sum(1)) ** 2


def config(**train) -> Train:
    return Train(epochs=1, trainable=["all"], lr=0.05, **train)


def steps(model: torch.nn.Module, train: Train, total: int = 8) -> OptimizerSteps:
    return OptimizerSteps(dict(model.named_parameters()), train, Processes(), total)


def same(one: torch.nn.Module, other: torch.nn.Module, **tolerance) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], **tolerance or {"rtol": 0, "atol": 0})


@pytest.mark.parametrize("name, kind", [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_steps_are_those_of_torch_along_the_clipped_mean(name, kind):
    train = config(optimizer=name, weight_decay=0.1, max_grad_norm=0.4, schedule="cosine", warmup=0.25)
    ours, theirs = network(), network()
    mine, optimizer = steps(ours, train), kind(theirs.parameters(), lr=0.05, weight_decay=0.1)
    for step in range(8):
        mine.add([losses(ours, step)], ["a"])
        optimizer.param_groups[0]["lr"] = schedule.lr_at(train, step, 8)
        optimizer.zero_grad()
        losses(theirs, step).mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.4)
        optimizer.step()
        assert mine.lr == optimizer.param_groups[0]["lr"]
    same(ours, theirs, rtol=1e-5, atol=1e-6)


def test_muon_updates_matrices_and_adamw_the_rest():
    train = config(optimizer="muon", weight_decay=0.1)
    theirs = torch.nn.Sequential(torch.nn.Embedding(5, 3), network())
    ours = copy.deepcopy(theirs)
    matrices, rest = [], []
    for name, value in theirs.named_parameters():
        (matrices if name in ("1.0.weight", "1.2.weight") else rest).append(value)
    named = {"embed" if name == "0.weight" else name: value for name, value in ours.named_parameters()}
    mine = OptimizerSteps(named, train, Processes(), 8)
    both = [
        torch.optim.Muon(matrices, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=0.05, weight_decay=0.1),
    ]
    for step in range(4):
        numbers = torch.randint(5, (6,), generator=torch.Generator().manual_seed(step))
        mine.add([ours(numbers)[:, 0] ** 2], ["a"])
        for optimizer in both:
            optimizer.zero_grad()
        (theirs(numbers)[:, 0] ** 2).mean().backward()
        for optimizer in both:
            optimizer.step()
    same(ours, theirs, rtol=1e-4, atol=1e-5)


def test_several_batches_are_one_large_one():
    parts, whole = network(), network()
    one, other = steps(parts, config(grad_accumulation_steps=3)), steps(whole, config())
    for step in range(4):
        for part in (slice(0, 1), slice(1, 4), slice(4, 6)):
            one.add([losses(parts, step)[part]], ["a"])
        other.add([losses(whole, step)], ["a"])
    assert one.step == other.step == 4
    same(parts, whole, rtol=1e-5, atol=1e-6)


def test_batches_left_at_the_end_of_an_epoch_are_a_step_and_none_are_none():
    parts, whole = network(), network()
    one, other = steps(parts, config(grad_accumulation_steps=4)), steps(whole, config())
    one.add([losses(parts, 0)], ["a"])
    one.finish()
    one.finish()
    other.add([losses(whole, 0)], ["a"])
    assert one.step == 1
    same(parts, whole)


def test_batches_without_masks_change_nothing():
    model = network()
    mine = steps(model, config(weight_decay=0.5))
    mine.add([], ["a"])
    same(model, network())
    assert mine.step == 1


def test_the_ema_is_that_of_torch():
    model = network()
    averaged = AveragedModel(copy.deepcopy(model), multi_avg_fn=get_ema_multi_avg_fn(0.8))
    averaged.update_parameters(model)  # the first is a copy
    mine = steps(model, config(ema_decay=0.8))
    for step in range(5):
        mine.add([losses(model, step)], ["a"])
        averaged.update_parameters(model)
    own = copy.deepcopy(model)
    with mine.ema.applied():
        same(model, averaged.module, rtol=1e-6, atol=1e-7)
    same(model, own)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_steps_after_an_interruption_are_the_same_bit_for_bit(optimizer):
    train = config(ema_decay=0.9, optimizer=optimizer, weight_decay=0.1, schedule="cosine", grad_accumulation_steps=2)
    whole = network()
    unbroken = steps(whole, train)
    for batch in range(12):
        unbroken.add([losses(whole, batch)], ["a"])
        if batch == 7:
            weights, state, step_count = (
                copy.deepcopy(whole.state_dict()),
                copy.deepcopy(unbroken.state_dict()),
                unbroken.step,
            )
    later = network()
    resumed = steps(later, train)
    later.load_state_dict(weights)
    resumed.load_state_dict(state, step_count)
    for batch in range(8, 12):
        resumed.add([losses(later, batch)], ["a"])
    same(whole, later)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in unbroken.state_dict().items())
    assert resumed.lr == unbroken.lr


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_non_finite_loss_names_the_images_of_the_step_and_changes_no_weight(factor):
    model = network()
    mine = steps(model, config(grad_accumulation_steps=2))
    mine.add([losses(model, 0)], ["a", "b"])
    with pytest.raises(NonFiniteLossError) as failure:
        mine.add([losses(model, 1) * factor], ["c"])
    assert failure.value.ids == ["a", "b", "c"]
    same(model, network())


def test_a_non_finite_gradient_of_a_finite_loss_is_caught():
    model = network()
    with pytest.raises(NonFiniteLossError):
        steps(model, config()).add([(losses(model, 0) * 0).sqrt()], ["a"])  # 0, with an infinite slope
    same(model, network())
