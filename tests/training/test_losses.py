"""Losses against their formulas and other implementations."""

import pytest
import torch
from promptseg.training import losses
from promptseg.training.losses import LOSSES, bce, dice, dice_bce, dice_focal, focal
from torchvision.ops import sigmoid_focal_loss

FULL = torch.ones(3, 5, 8, dtype=torch.float64)


@pytest.fixture
def masks():
    """Logits and targets of three masks."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(3, 5, 8, dtype=torch.float64, generator=generator)
    return logits, (torch.rand(3, 5, 8, generator=generator) > 0.6).double()


def test_losses_are_those_of_the_study_of_torch_and_of_torchvision(masks):
    logits, target = masks
    p = 1 / (1 + torch.exp(-logits))
    expected = [1 - (2 * (y * q).sum() + 1) / (y.sum() + q.sum() + 1) for y, q in zip(target, p, strict=True)]
    torch.testing.assert_close(dice(*masks, FULL), torch.stack(expected))
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(*masks, reduction="none").mean((1, 2))
    torch.testing.assert_close(bce(*masks, FULL), cross_entropy)
    torch.testing.assert_close(focal(*masks, FULL), sigmoid_focal_loss(*masks).mean((1, 2)))
    torch.testing.assert_close(dice_bce(*masks, FULL), dice(*masks, FULL) + bce(*masks, FULL))
    torch.testing.assert_close(dice_focal(*masks, FULL), dice(*masks, FULL) + focal(*masks, FULL))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_loss_of_a_mask_with_ignored_pixels_is_that_of_the_rest_of_it(name, masks):
    logits, target = masks
    weight = FULL.clone()
    weight[..., 3:] = 0
    cropped = LOSSES[name](logits[..., :3], target[..., :3], FULL[..., :3])
    torch.testing.assert_close(LOSSES[name](logits, target, weight), cropped)
    assert LOSSES[name](*torch.zeros(3, 1, 2, 2)).isfinite().all()


def test_losses_are_found_by_name():
    names = ("dice", "bce", "dice_bce", "focal", "dice_focal")
    assert [losses.get(name) for name in names] == [dice, bce, dice_bce, focal, dice_focal]
