"""The losses against their formulas and other people's code."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from promptseg.training.losses import LOSSES, bce, dice, dice_bce, dice_focal, focal


@given(st.integers(0, 2**32 - 1))
def test_dice_is_the_formula_of_the_study(seed):
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(0, 3, (2, 5, 7)), (rng.random((2, 5, 7)) > 0.6).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = [1 - (2 * (y * q).sum() + 1) / (y.sum() + q.sum() + 1) for y, q in zip(target, p)]
    found = dice(*map(torch.tensor, (logits, target, np.ones_like(target))))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_losses_against_torchs_own():
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
def test_a_map_with_ignored_pixels_loses_what_the_rest_of_it_loses(name):
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 5, 8, generator=generator), torch.rand(2, 5, 8, generator=generator).round()
    weight = torch.zeros(2, 5, 8)
    weight[..., :3] = 1
    cropped = LOSSES[name](logits[..., :3], target[..., :3], torch.ones(2, 5, 3))
    torch.testing.assert_close(LOSSES[name](logits, target, weight), cropped)


def test_sums_of_losses_are_sums():
    given = torch.randn(3, 4, 5), (torch.rand(3, 4, 5) > 0.5).float(), torch.ones(3, 4, 5)
    torch.testing.assert_close(dice_bce(*given), dice(*given) + bce(*given))
    torch.testing.assert_close(dice_focal(*given), dice(*given) + focal(*given))
