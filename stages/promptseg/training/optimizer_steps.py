"""An optimizer's steps along gradients that several batches and several processes share."""

import math

import torch

from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.training import optimizers, schedule
from promptseg.training.ema import Average


class NonFiniteLossError(Exception):
    """The loss or its gradient is infinite or no number; `ids` are the pictures of the step."""

    def __init__(self, ids: list[str]):
        super().__init__(", ".join(ids))
        self.ids = ids


class Steps:
    """Each step goes along the mean gradient of its batches' maps, wherever they were computed.

    So the batches of a step count as one large one, and a process more or less changes only the order of the sums.
    taken: how many steps there were; total: how many there will be, for the schedule; lr: the rate of the last one.
    """

    def __init__(
        self, parameters: dict[str, torch.nn.Parameter], settings: params.Train, processes: Processes, total: int
    ):  # fmt: skip
        self._parameters = list(parameters.values())
        self._settings, self._processes, self._total = settings, processes, total
        self._optimizers = optimizers.made(parameters, settings)
        self.average = Average(parameters, settings.ema) if settings.ema else None
        self.taken, self.lr = 0, settings.lr
        self._begin()

    def add(self, losses: list[torch.Tensor], ids: list[str]) -> None:
        """One batch more. losses: (m,) each, of this process's maps; ids: of the whole batch's pictures."""
        if losses:
            total = torch.cat(losses).sum()
            total.backward()
            self._sum += total.item()
            self._count += sum(map(len, losses))
        self._ids += ids
        self._batches += 1
        if self._batches == self._settings.accumulate:
            self.finish()

    def finish(self) -> None:
        """Take the step, if there were batches since the last one. Raises NonFiniteLossError, before any weight is changed."""
        if not self._batches:
            return
        for parameter in self._parameters:
            if parameter.grad is None:  # this process had no map to learn from, but the sum needs its place
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self._parameters]
        counted = torch.tensor([float(self._count), self._sum], device=self._processes.device)
        self._processes.sum([*gradients, counted])
        count, loss = counted.tolist()
        self.lr = schedule.rate(self._settings, self.taken, self._total)
        if count > 0:
            for gradient in gradients:
                gradient /= count
            norm = torch.nn.utils.get_total_norm(gradients)
            if not (math.isfinite(norm) and math.isfinite(loss)):
                raise NonFiniteLossError(self._ids)
            if self._settings.clip:
                torch.nn.utils.clip_grads_with_norm_(self._parameters, self._settings.clip, norm)
            for optimizer, _ in self._optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.lr
                optimizer.step()
            if self.average:
                self.average.update()
        self.taken += 1
        self._begin()

    def state(self) -> dict[str, torch.Tensor]:
        """What the steps to come depend on besides the weights and `taken`."""
        state = {
            f"{key}.{names[i]}": value
            for optimizer, names in self._optimizers
            for i, values in optimizer.state_dict()["state"].items()
            for key, value in values.items()
        }
        averages = self.average.values if self.average else {}
        return state | {f"average.{name}": value for name, value in averages.items()}

    def resume(self, state: dict[str, torch.Tensor], taken: int) -> None:
        """Go on from what `state` gave after so many steps."""
        moments = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind == "average":
                self.average.values[name].copy_(value)
            else:
                moments.setdefault(name, {})[kind] = value
        for optimizer, names in self._optimizers:
            own = {i: moments[name] for i, name in enumerate(names) if name in moments}
            optimizer.load_state_dict({**optimizer.state_dict(), "state": own})
        self.taken = taken

    def _begin(self) -> None:
        self._batches, self._count, self._sum, self._ids = 0, 0, 0.0, []
        for optimizer, _ in self._optimizers:
            optimizer.zero_grad()
