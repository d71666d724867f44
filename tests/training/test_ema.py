"""Exponential moving average of weights."""

import pytest
import torch
from promptseg.training.ema import ExponentialMovingAverage


def test_it_starts_from_the_initial_weights_and_moves_by_one_minus_decay():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    ema = ExponentialMovingAverage({"weight": weight}, 0.75)
    with torch.no_grad():
        weight += 4.0
    ema.update()
    torch.testing.assert_close(ema.averages["weight"], torch.tensor([2.0, 3.0]))


def test_the_averages_are_the_weights_in_the_context_alone_even_if_it_fails():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    ema = ExponentialMovingAverage({"weight": weight}, 0.5)
    with torch.no_grad():
        weight += 2.0
    ema.update()
    with pytest.raises(KeyError), ema.applied():
        assert weight.item() == 2.0
        raise KeyError
    assert weight.item() == 3.0 and ema.averages["weight"].item() == 2.0
