"""Exponential moving average (EMA) of weights, validated and saved in place of the last ones."""

import contextlib
from collections.abc import Iterator

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


class ExponentialMovingAverage:
    """average = decay * average + (1 - decay) * weights after each step, starting from the initial weights.

    torch's AveragedModel would copy the frozen weights too; this has averages of the given parameters alone.

    Args:
        parameters: by name; they are read in `update` and swapped in `applied`.
        decay: in (0, 1).

    Attributes:
        averages: by the same names.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float):
        self._parameters, self._average = parameters, get_ema_multi_avg_fn(decay)
        self.averages = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def update(self) -> None:
        """Take in the weights after a step."""
        self._average(list(self.averages.values()), list(self._parameters.values()), None)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the averages as its weights."""
        weights = {name: parameter.data for name, parameter in self._parameters.items()}
        for name, parameter in self._parameters.items():
            parameter.data = self.averages[name]
        try:
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = weights[name]
