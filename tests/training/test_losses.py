"""Losses against their formulas and other implementations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from promptseg.training import losses
from promptseg.training.losses import LOSSES, bce, dice, dice_bce, dice_focal, focal
from refusing import refused


def test_losses_are_found_by_name_and_an_unknown_name_lists_them():
    assert {"dice", "bce", "dice_bce", "focal", "dice_focal"} <= {*LOSSES} and losses.get("focal") is focal
    known = f"known: {', '.join(LOSSES)}"
    refused(lambda: losses.get("dise"), "params.yaml: train.loss: unknown loss 'dise'", known)


@given(st.integers(0, 2**32 - 1))
def test_dice_is_the_formula_of_the_study(seed):
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(0, 3, (2, 5, 7)), (rng.random((2, 5, 7)) > 0.6).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = [1 - (2 * (y * q).sum() + 1) / (y.sum() + q.sum() + 1) for y, q in zip(target, p, strict=True)]
    result = dice(*map(torch.tensor, (logits, target, np.ones_like(target))))
    np.testing.assert_allclose(result, expected, rtol=1e-9)


def test_bce_and_focal_are_those_of_torch_and_torchvision():
    logits, target = torch.randn(3, 4, 5, dtype=torch.float64), (torch.rand(3, 4, 5) > 0.5).double()
    full = torch.ones_like(target)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
    torch.testing.assert_close(bce(logits, target, full), expected)
    from torchvision.ops import sigmoid_focal_loss

    torch.testing.assert_close(focal(logits, target, full), sigmoid_focal_loss(logits, target).mean((1, 2)))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_ignored_pixels_change_no_loss(name):
    logits, target = torch.randn(2, 6, 6), (torch.rand(2, 6, 6) > 0.5).float()
    weight = (torch.rand(2, 6, 6) > 0.3).float()
    other = torch.where(weight > 0, logits, torch.randn_like(logits) * 9)
    torch.testing.assert_close(LOSSES[name](logits, target, weight), LOSSES[name](other, target, weight))
    assert LOSSES[name](torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)).isfinite().all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_loss_of_a_mask_with_ignored_pixels_is_that_of_the_rest_of_it(name):
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 5, 8, generator=generator), torch.rand(2, 5, 8, generator=generator).round()
    weight = torch.zeros(2, 5, 8)
    weight[..., :3] = 1
    cropped = LOSSES[name](logits[..., :3], target[..., :3], torch.ones(2, 5, 3))
    torch.testing.assert_close(LOSSES[name](logits, target, weight), cropped)


def test_sums_of_losses_are_sums():
    inputs = torch.randn(3, 4, 5), (torch.rand(3, 4, 5) > 0.5).float(), torch.ones(3, 4, 5)
    torch.testing.assert_close(dice_bce(*inputs), dice(*inputs) + bce(*inputs))
    torch.testing.assert_close(dice_focal(*inputs), dice(*inputs) + focal(*inputs))
