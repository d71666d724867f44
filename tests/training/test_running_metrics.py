"""Metrics of an epoch, by hand."""

import pytest
import torch
from promptseg.core.devices import Processes
from promptseg.training.running_metrics import MetricSums


def test_ignored_pixels_enter_no_mean_over_the_masks():
    """Of the first mask four pixels count: two are predicted, three are the object's, one is both.

    Of the second five count and are predicted, and four of them are the object's.
    """
    prediction = torch.tensor([[[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]])
    target = torch.tensor([[[1, 0, 1], [0, 1, 1]], [[1, 1, 1], [1, 1, 0]]])
    weight = torch.tensor([[[1, 1, 1], [0, 1, 0]], [[1, 1, 1], [1, 0, 1]]])
    sums = MetricSums()
    sums.add_masks(6.0 * prediction - 3, target.float(), weight.float())
    metrics = sums.mean(Processes())
    assert metrics.loss is None
    assert metrics.iou == pytest.approx((1 / 4 + 4 / 5) / 2)
    assert metrics.foreground == pytest.approx((2 / 4 + 5 / 5) / 2)
    assert metrics.target_foreground == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_an_empty_mask_that_is_predicted_empty_has_an_iou_of_one():
    sums = MetricSums()
    sums.add_masks(torch.full((1, 2, 2), -3.0), torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    sums.add_masks(torch.full((1, 2, 2), 3.0), torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    assert sums.mean(Processes())[1:] == (0.5, 0.5, 0.0)


def test_losses_are_averaged_over_their_number_and_nothing_is_none():
    sums = MetricSums()
    assert sums.mean(Processes()) == (None, None, None, None)
    sums.add_losses(torch.tensor([1.0, 2.0]))
    sums.add_losses(torch.tensor([6.0]))
    assert sums.mean(Processes()) == (3.0, None, None, None)
    assert sums.describe() == {"loss": "3.000", "iou": "0.000"}
