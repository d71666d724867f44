"""Networks with an output for each class: selection of outputs, and weights for another number of classes."""

from pathlib import Path

import torch

from promptseg.core.errors import UserError
from promptseg.prompts import Prompt


def select(logits: torch.Tensor, prompts: list[list[Prompt]]) -> torch.Tensor:
    """Select for each prompt the output of its class: (n, classes, h, w) -> (n, p, h, w)."""
    targets = torch.tensor([[prompt.target - 1 for prompt in row] for row in prompts], device=logits.device)
    return logits.take_along_dim(targets[:, :, None, None], dim=1)


def load_tensors(
    model: torch.nn.Module, tensors: dict[str, torch.Tensor], folder: Path, last: str | None = None
) -> None:
    """Load stored tensors; the last layer keeps its initial weights where it has another number of classes.

    Args:
        model: the model.
        tensors: by name.
        folder: where they are from, for messages.
        last: prefix of the last layer's names; None where all tensors have to fit.

    Raises:
        UserError: other tensors do not fit.
    """
    state = model.state_dict()
    unlike = sorted(name for name, tensor in tensors.items() if name in state and tensor.shape != state[name].shape)
    wrong = [name for name in unlike if last is None or not name.startswith(last)] + sorted(
        tensors.keys() ^ state.keys()
    )
    if wrong:
        raise UserError(f"{folder}: its tensors do not fit its config.json ({wrong[0]})")
    model.load_state_dict({**tensors, **{name: state[name] for name in unlike}})
