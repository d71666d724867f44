"""Exponential moving average (EMA) of weights, validated and saved in place of the last ones."""

import contextlib
from collections.abc import Iterator

import torch


class ExponentialMovingAverage:
    """average = decay * average + (1 - decay) * weights after each step, starting from the initial weights.

    Args:
        parameters: by name; they are read in `update` and swapped in `applied`.
        decay: in (0, 1).

    Attributes:
        averages: by the same names.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float):
        self._parameters, self._decay = parameters, decay
        self.averages = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        for name, parameter in self._parameters.items():
            self.averages[name].lerp_(parameter, 1 - self._decay)

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
