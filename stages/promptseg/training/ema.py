"""A moving average of the weights (EMA), to be measured and kept in place of the last ones."""

import contextlib
from collections.abc import Iterator

import torch


class Average:
    """avg = decay * avg + (1 - decay) * weights after each step, from the weights at the beginning on."""

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float):
        self._parameters, self._decay = parameters, decay
        self.values = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        for name, parameter in self._parameters.items():
            self.values[name].lerp_(parameter, 1 - self._decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """For the time of the block the model has the averages as its weights."""
        own = {name: parameter.data for name, parameter in self._parameters.items()}
        for name, parameter in self._parameters.items():
            parameter.data = self.values[name]
        try:
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = own[name]
