"""Optimizer steps along gradients that several batches and several processes share."""

import math

import torch

from promptseg.core.devices import Processes
from promptseg.core.train_config import CompleteTrain
from promptseg.training import optimizers
from promptseg.training.ema import ExponentialMovingAverage


class NonFiniteLossError(Exception):
    """A loss or its gradient is infinite or NaN.

    Attributes:
        ids: of the images of the step.
    """

    def __init__(self, ids: list[str]):
        super().__init__(", ".join(ids))
        self.ids = ids


class OptimizerSteps:
    """Steps along the mean gradient of all masks of a global batch, whichever process computed them.

    So the batches of a step count as one large batch, and the number of processes changes only the order of sums.

    Args:
        parameters: the trainable parameters by name.
        config: optimizer, lr, schedule, accumulation, clipping and EMA.
        processes: they share each batch.
        total: number of steps, for the schedule.

    Attributes:
        step: number of steps done.
        lr: learning rate of the last step.
        ema: average of the weights, or None.
    """

    def __init__(
        self, parameters: dict[str, torch.nn.Parameter], config: CompleteTrain, processes: Processes, total: int
    ):  # fmt: skip
        self._parameters = list(parameters.values())
        self._config, self._processes, self._total = config, processes, total
        self._optimizers = optimizers.get(config.optimizer)(parameters, config)
        self._names = {id(parameter): name for name, parameter in parameters.items()}
        self.ema = ExponentialMovingAverage(parameters, config.ema_decay) if config.ema_decay else None
        self.step, self.lr = 0, config.lr
        self._start_step()

    def add(self, losses: list[torch.Tensor], ids: list[str]) -> None:
        """Add a batch, and do the step if it is the last one of the step.

        Args:
            losses: (m,) each, of the masks that this process computed; empty where it had none.
            ids: of all images of the global batch.

        Raises:
            NonFiniteLossError: as `finish`.
        """
        if losses:
            total = torch.cat(losses).sum()
            total.backward()
            self._loss_sum += total.item()
            self._mask_count += sum(map(len, losses))
        self._ids += ids
        self._batches += 1
        if self._batches == self._config.grad_accumulation_steps:
            self.finish()

    def finish(self) -> None:
        """Do the step for the batches since the last one, if there are any.

        Raises:
            NonFiniteLossError: loss or gradient is not finite; no weight has changed.
        """
        if not self._batches:
            return
        for parameter in self._parameters:
            if parameter.grad is None:  # this process had no mask, but the sum over processes needs a tensor
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self._parameters]
        sums = torch.tensor([float(self._mask_count), self._loss_sum], device=self._processes.device)
        self._processes.sum([*gradients, sums])
        mask_count, loss_sum = sums.tolist()
        self.lr = optimizers.lr_at(self._config, self.step, self._total)
        if mask_count > 0:
            for gradient in gradients:
                gradient /= mask_count
            norm = torch.nn.utils.get_total_norm(gradients)
            if not (math.isfinite(norm) and math.isfinite(loss_sum)):
                raise NonFiniteLossError(self._ids)
            if self._config.max_grad_norm:
                torch.nn.utils.clip_grads_with_norm_(self._parameters, self._config.max_grad_norm, norm)
            for optimizer in self._optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.lr
                optimizer.step()
            if self.ema:
                self.ema.update()
        self.step += 1
        self._start_step()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that later steps depend on besides the weights and `step`: `<moment>.<parameter>`, `ema.<parameter>`."""
        state = {
            f"{moment}.{names[i]}": value
            for optimizer, names in self._named_optimizers()
            for i, moments in optimizer.state_dict()["state"].items()
            for moment, value in moments.items()
        }
        averages = self.ema.averages if self.ema else {}
        return state | {f"ema.{name}": value for name, value in averages.items()}

    def load_state_dict(self, state: dict[str, torch.Tensor], step: int) -> None:
        """Continue from what `state_dict` returned after `step` steps."""
        averages = self.ema.averages if self.ema else {}
        moments: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            if kind == "ema":
                averages[name].copy_(value)
            else:
                moments.setdefault(name, {})[kind] = value
        for optimizer, names in self._named_optimizers():
            own = {i: moments[name] for i, name in enumerate(names) if name in moments}
            optimizer.load_state_dict({**optimizer.state_dict(), "state": own})
        self.step = step

    def _named_optimizers(self) -> list[tuple[torch.optim.Optimizer, list[str]]]:
        """The optimizers, each with the names of its parameters in the order of its state."""
        return [
            (optimizer, [self._names[id(value)] for group in optimizer.param_groups for value in group["params"]])
            for optimizer in self._optimizers
        ]

    def _start_step(self) -> None:
        self._batches, self._mask_count, self._loss_sum = 0, 0, 0.0
        self._ids: list[str] = []
        for optimizer in self._optimizers:
            optimizer.zero_grad()
