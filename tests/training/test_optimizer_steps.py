"""Optimizer steps and averages against a plain loop with torch's own, and the same steps after an interruption."""

import copy

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.core.train_config import Train
from promptseg.training import optimizers
from promptseg.training.ema import ExponentialMovingAverage
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def losses(model: torch.nn.Module, step: int) -> torch.Tensor:
    """(6,), of samples that belong to this step."""
    samples = torch.randn(6, 3, generator=torch.Generator().manual_seed(step))
    return (model(samples)[:, 0] - samples.sum(1)) ** 2


def steps(model: torch.nn.Module, **train) -> OptimizerSteps:
    config = Train(epochs=1, lr=0.05, **train)
    return OptimizerSteps(dict(model.named_parameters()), config, Processes(), 8)


def assert_same(one: torch.nn.Module, other: torch.nn.Module, **tolerance) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], **tolerance or {"rtol": 0, "atol": 0})


@pytest.mark.parametrize("name, kind", [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_steps_are_those_of_torch_along_the_clipped_mean(name, kind):
    settings = dict(optimizer=name, weight_decay=0.1, max_grad_norm=0.4, schedule="cosine", warmup=0.25)
    ours, theirs = network(), network()
    mine, optimizer = steps(ours, **settings), kind(theirs.parameters(), lr=0.05, weight_decay=0.1)
    for step in range(8):
        mine.add([losses(ours, step)], ["a"])
        optimizer.param_groups[0]["lr"] = optimizers.lr_at(Train(epochs=1, lr=0.05, **settings), step, 8)
        optimizer.zero_grad()
        losses(theirs, step).mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.4)
        optimizer.step()
        assert mine.lr == optimizer.param_groups[0]["lr"]
    assert_same(ours, theirs, rtol=1e-5, atol=1e-6)


def test_muon_updates_matrices_and_adamw_the_rest():
    theirs = torch.nn.ModuleDict({"embed": torch.nn.Embedding(5, 3), "rest": network()})
    ours = copy.deepcopy(theirs)
    matrices = [theirs["rest"][i].weight for i in (0, 2)]
    others = [theirs["embed"].weight, theirs["rest"][0].bias, theirs["rest"][2].bias]
    mine = steps(ours, optimizer="muon", weight_decay=0.1)
    both = [
        torch.optim.Muon(matrices, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.05, weight_decay=0.1),
    ]
    for step in range(4):
        numbers = torch.randint(5, (6,), generator=torch.Generator().manual_seed(step))
        mine.add([ours["rest"](ours["embed"](numbers))[:, 0] ** 2], ["a"])
        theirs.zero_grad()
        (theirs["rest"](theirs["embed"](numbers))[:, 0] ** 2).mean().backward()
        for optimizer in both:
            optimizer.step()
    assert_same(ours, theirs, rtol=1e-4, atol=1e-5)


def test_several_batches_are_one_large_one_and_those_left_at_the_end_of_an_epoch_are_a_step():
    parts, whole = network(), network()
    one, other = steps(parts, grad_accumulation_steps=3), steps(whole)
    for step in range(4):
        for part in (slice(0, 1), slice(1, 4), slice(4, 6)):
            one.add([losses(parts, step)[part]], ["a"])
        other.add([losses(whole, step)], ["a"])
    assert one.step == other.step == 4
    one.add([losses(parts, 4)], ["a"])
    assert one.step == 4
    one.finish()
    one.finish()
    other.add([losses(whole, 4)], ["a"])
    assert one.step == 5
    assert_same(parts, whole, rtol=1e-5, atol=1e-6)


def test_batches_without_masks_change_nothing():
    model = network()
    mine = steps(model, weight_decay=0.5)
    mine.add([], ["a"])
    assert_same(model, network())
    assert mine.step == 1


def test_the_ema_is_that_of_torch():
    model = network()
    averaged = AveragedModel(copy.deepcopy(model), multi_avg_fn=get_ema_multi_avg_fn(0.8))
    averaged.update_parameters(model)  # the first is a copy
    mine = steps(model, ema_decay=0.8)
    for step in range(5):
        mine.add([losses(model, step)], ["a"])
        averaged.update_parameters(model)
    own = copy.deepcopy(model)
    with mine.ema.applied():
        assert_same(model, averaged.module, rtol=1e-6, atol=1e-7)
    assert_same(model, own)


def test_averages_start_from_the_initial_weights_and_are_applied_in_the_context_alone_even_if_it_fails():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    ema = ExponentialMovingAverage({"weight": weight}, 0.75)
    weight.data += 4.0
    ema.update()
    with pytest.raises(KeyError), ema.applied():
        assert weight.tolist() == [2.0, 3.0]
        raise KeyError
    assert weight.tolist() == [5.0, 6.0] and ema.averages["weight"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_steps_after_an_interruption_are_the_same_bit_for_bit(optimizer):
    train = dict(ema_decay=0.9, optimizer=optimizer, weight_decay=0.1, schedule="cosine", grad_accumulation_steps=2)
    whole, later = network(), network()
    unbroken, resumed = steps(whole, **train), steps(later, **train)
    for batch in range(8):
        unbroken.add([losses(whole, batch)], ["a"])
    later.load_state_dict(copy.deepcopy(whole.state_dict()))
    resumed.load_state_dict(copy.deepcopy(unbroken.state_dict()), unbroken.step)
    for batch in range(8, 12):
        unbroken.add([losses(whole, batch)], ["a"])
        resumed.add([losses(later, batch)], ["a"])
    assert_same(whole, later)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in unbroken.state_dict().items())
    assert resumed.lr == unbroken.lr


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_non_finite_loss_names_the_images_of_the_step_and_changes_no_weight(factor):
    model = network()
    mine = steps(model, grad_accumulation_steps=2)
    mine.add([losses(model, 0)], ["a", "b"])
    with pytest.raises(NonFiniteLossError) as failure:
        mine.add([losses(model, 1) * factor], ["c"])
    assert failure.value.ids == ["a", "b", "c"]
    assert_same(model, network())


def test_a_non_finite_gradient_of_a_finite_loss_is_caught():
    model = network()
    with pytest.raises(NonFiniteLossError):
        steps(model).add([(losses(model, 0) * 0).sqrt()], ["a"])  # 0, with an infinite slope
    assert_same(model, network())
