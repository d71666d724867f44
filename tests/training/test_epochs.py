"""One pass over a split: the order of images, dropout, and items without prompts."""

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


@pytest.fixture
def items(model):
    """The items of a split of four images in an epoch."""
    split = ToySplit("train", 4, model)
    return lambda epoch: (split, [split.take(index, epoch) for index in range(4)])


def train_once(model, phase, seed: int = 0, epoch: int = 1):
    steps = OptimizerSteps({name: getattr(model, name) for name in TRAINABLE}, phase.config, Processes(), 9)
    return epochs.train_epoch(toy_run([phase], model, seed=seed), phase, steps, epoch, progress.bar(main=False))


def test_each_epoch_has_its_own_order_and_random_numbers_and_a_rerun_the_same(model):
    def observed(seed: int, epoch: int, order_key: tuple[int, ...] = ()) -> tuple[tuple, float]:
        seen, random = [], []

        def losses(split, items, *_) -> list:
            seen.extend(item.index for item in items)
            random.append(torch.rand(1).item())
            return []

        train_once(model, toy_phase(losses, order_key=order_key), seed, epoch)
        return tuple(seen), random[0]

    passes = [(0, 1), (0, 2), (0, 3), (1, 1), (0, 1, (1,))]
    orders, numbers = zip(*(observed(*key) for key in passes), strict=True)
    assert all(sorted(indexes) == list(range(11)) for indexes in orders)
    assert len({*orders}) == len({*numbers}) == 5
    assert observed(0, 2) == (orders[1], numbers[1])


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


def test_items_are_grouped_by_their_number_of_prompts_and_those_without_are_left_out(model, items):
    (split, four), sums = items(1), MetricSums()
    region = masks.whole_region(four[0].counted)
    four[0] = replace(four[0], prompts=[], regions=[])
    four[2] = replace(four[2], prompts=[Prompt.of()] * 2, regions=[region] * 2)
    result = epochs.mask_losses(model, toy_config(), split, four, 1, sums)
    assert [len(values) for values in result] == [2, 2] and sums.mask_count == sums.loss_count == 4
    assert epochs.mask_losses(model, toy_config(), split, four[:1], 1, sums) == []


def test_the_loss_is_computed_in_its_precision_with_epoch_and_seeds_of_the_items(model, items, monkeypatch):
    contexts, in_bf16, real = [], [], ToySegmenter.compute_loss

    def compute_loss(self, features, prompts, context):
        contexts.append(context)
        in_bf16.append(torch.is_autocast_enabled("cpu"))
        return real(self, features, prompts, context)

    monkeypatch.setattr(ToySegmenter, "compute_loss", compute_loss)
    for epoch, precision in ((1, "fp32"), (2, "bf16")):
        split, four = items(epoch)
        epochs.mask_losses(model, toy_config(precision=precision), split, four, epoch, MetricSums())
        assert contexts[-1].seeds == [item.seed for item in four]
    assert [context.epoch for context in contexts] == [1, 2] and contexts[0].loss is dice and in_bf16 == [False, True]
    assert len({seed for context in contexts for seed in context.seeds}) == 8


def test_pretext_losses_need_no_masks(model, items):
    (split, four), sums = items(1), MetricSums()
    (values,) = epochs.pretext_losses(model.eval(), split, four, 1, sums)
    expected = model.transform.to_input(list(split.images)).square().mean((1, 2, 3))
    torch.testing.assert_close(values.detach(), expected)
    assert sums.loss_count == 4 and sums.mask_count == 0 and epochs.pretext_losses(model, split, [], 1, sums) == []
