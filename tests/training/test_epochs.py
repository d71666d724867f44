"""One pass over a split: the order of images, dropout, and items without prompts."""

import functools
from dataclasses import replace

import pytest
import torch
from promptseg.core import progress
from promptseg.core.devices import Processes
from promptseg.data import masks
from promptseg.prompts import Prompt
from promptseg.training import epochs
from promptseg.training.losses import dice
from promptseg.training.optimizer_steps import NonFiniteLossError, OptimizerSteps
from promptseg.training.running_metrics import MetricSums
from toy_training import TRAINABLE, ToySegmenter, ToySplit, toy_config, toy_phase, toy_run


@pytest.fixture
def model():
    return ToySegmenter()


def train_once(model, phase, seed: int = 0, epoch: int = 1):
    steps = OptimizerSteps({name: getattr(model, name) for name in TRAINABLE}, phase.config, Processes(), 9)
    return epochs.train_epoch(toy_run([phase], model, seed=seed), phase, steps, epoch, progress.bar(main=False))


def test_each_epoch_has_its_own_order_and_a_rerun_the_same(model):
    def order(seed: int, epoch: int, order_key: tuple[int, ...] = ()) -> list[int]:
        seen = []
        phase = toy_phase(lambda split, items, *rest: seen.extend(items) or [], order_key=order_key)
        train_once(model, phase, seed, epoch)
        return [item.index for item in seen]

    orders = [order(0, 1), order(0, 2), order(0, 3), order(1, 1), order(0, 1, (1,))]
    assert all(sorted(indexes) == list(range(11)) for indexes in orders)
    assert len({tuple(indexes) for indexes in orders}) == 5
    assert order(0, 2) == orders[1]


def test_random_numbers_of_an_epoch_depend_on_seed_and_epoch(model):
    def random(seed: int, epoch: int) -> float:
        values = []
        train_once(model, toy_phase(lambda *_: values.append(torch.rand(1).item()) or []), seed, epoch)
        return values[0]

    assert random(0, 1) == random(0, 1)
    assert len({random(0, 1), random(0, 2), random(1, 1)}) == 3


def test_dropout_is_on_in_training_and_off_in_validation(model):
    def losses(split, items, epoch, sums):
        values = split.features(items)["pixels"].square().mean((1, 2, 3))
        sums.add_losses(values)
        return [values * model.gain.sum()]

    phase, results = toy_phase(losses), []
    run = toy_run([phase], model)
    for _ in range(2):
        model.train()  # as an epoch of training leaves it
        results.append(epochs.validate(run, phase).loss)
    expected = model.transform.to_input(list(run.val_split.images)).square().mean().item()
    assert results[0] == results[1] == pytest.approx(expected, rel=1e-5)
    plain = model.transform.to_input(list(run.train_split.images)).square().mean().item()
    model.eval()  # as validation leaves it
    assert train_once(model, phase).loss == pytest.approx(2 * plain, rel=0.2)  # dropout doubles what it leaves


def test_validation_changes_no_gradient_and_names_images_of_a_non_finite_loss(model):
    def losses(split, items, epoch, sums):
        values = torch.tensor([float("nan") if item.index == 1 else 0.0 for item in items]) * model.gain.sum()
        assert not values.requires_grad
        return [values]

    phase = toy_phase(losses, batch_size=1)
    with pytest.raises(NonFiniteLossError) as failure:
        epochs.validate(toy_run([phase], model), phase)
    assert failure.value.ids == ["val/1"]


def test_items_are_grouped_by_their_number_of_prompts_and_those_without_are_left_out(model):
    split, sums = ToySplit("train", 4, model), MetricSums()
    items = [split.take(index, 1) for index in range(4)]
    region = masks.whole_region(items[0].counted)
    items[0] = replace(items[0], prompts=[], regions=[])
    items[2] = replace(items[2], prompts=[Prompt.of()] * 2, regions=[region] * 2)
    result = epochs.mask_losses(DoubleOutput(), toy_config(), split, items, 1, sums)
    assert [len(values) for values in result] == [2, 2] and sums.mask_count == sums.loss_count == 4
    assert epochs.mask_losses(DoubleOutput(), toy_config(), split, items[:1], 1, sums) == []


class DoubleOutput(ToySegmenter):
    """A logit map for each prompt."""

    def decode(self, features, prompts):
        return super().decode(features, prompts).expand(-1, len(prompts[0]), -1, -1)


def test_the_loss_context_has_epoch_and_seeds_of_the_items(model, monkeypatch):
    contexts = []
    real = ToySegmenter.compute_loss
    monkeypatch.setattr(ToySegmenter, "compute_loss", lambda self, f, p, c: contexts.append(c) or real(self, f, p, c))
    split = ToySplit("train", 2, model)
    for epoch in (1, 2):
        items = [split.take(index, epoch) for index in range(2)]
        epochs.mask_losses(model, toy_config(), split, items, epoch, MetricSums())
    assert [context.epoch for context in contexts] == [1, 2] and contexts[0].loss is dice
    assert len({seed for context in contexts for seed in context.seeds}) == 4


def test_pretext_losses_need_no_masks(model):
    split, sums = ToySplit("train", 3, model), MetricSums()
    losses = functools.partial(epochs.pretext_losses, model.eval(), split)
    (values,) = losses([split.take(index, 1) for index in range(3)], 1, sums)
    expected = model.transform.to_input(list(split.images)).square().mean((1, 2, 3))
    torch.testing.assert_close(values.detach(), expected)
    assert sums.loss_count == 3 and sums.mask_count == 0 and losses([], 1, sums) == []
