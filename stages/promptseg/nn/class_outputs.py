"""Networks with one output for each class of a dataset: the outputs that are asked for, and a last layer that fits."""

from pathlib import Path

import torch

from promptseg.core.errors import UserError
from promptseg.prompts import Prompt


def asked(logits: torch.Tensor, prompts: list[list[Prompt]]) -> torch.Tensor:
    """Logits (n, classes, h, w) -> (n, p, h, w), for each prompt those of its class."""
    targets = torch.tensor([[prompt.target - 1 for prompt in row] for row in prompts], device=logits.device)
    return logits.take_along_dim(targets[:, :, None, None], dim=1)


def fill(model: torch.nn.Module, tensors: dict[str, torch.Tensor], folder: Path, last: str | None = None) -> None:
    """Put stored tensors into a model, but for a last layer that was made for another number of classes.

    folder: where the tensors are from; last: the beginning of that layer's names, None where all have to fit.
    Raises UserError if others do not fit.
    """
    state = model.state_dict()
    unlike = sorted(name for name, tensor in tensors.items() if name in state and tensor.shape != state[name].shape)
    wrong = [name for name in unlike if last is None or not name.startswith(last)] + sorted(
        tensors.keys() ^ state.keys()
    )
    if wrong:
        raise UserError(f"{folder}: its tensors do not fit its config.json ({wrong[0]})")
    model.load_state_dict({**tensors, **{name: state[name] for name in unlike}})
