"""Networks of transformers: built from released files and from our own checkpoints, with every tensor accounted for.

In our checkpoints the tensors of a network are named `network.<name>`, and config.json has its configuration under
`network`.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import torch
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from promptseg.core.errors import UserError, of_system
from promptseg.nn import weights

PREFIX = "network."
# As transformers takes it: a name, or one for each part of the configuration, with "" for the rest.
Attention = str | dict[str, str]


def convert(network_class: type[PreTrainedModel], source: Path, attention: Attention = "sdpa") -> PreTrainedModel:
    """Build a network from a folder in the layout of the hub. Raises UserError where the files do not fit it."""
    config, tensors = weights.released(source)
    settings = network_class.config_class.from_dict(json.loads(config.read_text()))
    return fill(network_class, settings, weights.tensors(tensors), source, attention)


def load(
    network_class: type[PreTrainedModel], config: dict, tensors: dict[str, torch.Tensor], folder: Path,
    attention: Attention = "sdpa",
) -> PreTrainedModel:  # fmt: skip
    """Build a network from one of our checkpoints.

    Args:
        network_class: of transformers, or a subclass of ours.
        config: config.json of the checkpoint.
        tensors: of the checkpoint; those without the prefix `network.` are ignored.
        folder: where they are from, for messages.
        attention: as of `fill`.

    Raises:
        UserError: the tensors do not fit the configuration.
    """
    of_network = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    settings = network_class.config_class.from_dict(config["network"])
    return fill(network_class, settings, weights.without_prefix(of_network, PREFIX), folder, attention)


def fill(
    network_class: type[PreTrainedModel], config: PretrainedConfig, state: dict[str, torch.Tensor], where: Path,
    attention: Attention = "sdpa",
) -> PreTrainedModel:  # fmt: skip
    """Build a network and fill in its tensors, with transformers' own loader, which ties tensors and renames keys.

    Args:
        network_class: of transformers, or a subclass of ours.
        config: its configuration.
        state: tensors by name; those of other networks in the same official file are ignored.
        where: folder or file that they are from, for messages.
        attention: fused, whatever a released config.json says, but in those parts that transformers has not fused.

    Returns:
        The network in float32 and eval mode.

    Raises:
        UserError: a tensor is missing or has another shape than the configuration says.
    """
    try:
        with _quiet():  # in place of its table of missing and unexpected tensors there is one line below
            network, info = network_class.from_pretrained(
                None,
                config=config,
                state_dict=state,
                output_loading_info=True,
                dtype=torch.float32,
                attn_implementation=attention,
                ignore_mismatched_sizes=True,  # transformers' own error does not name them
            )
    except (RuntimeError, ValueError) as error:
        unfit = UserError(f"{where}: its tensors do not fit its config.json: {error}")
        raise of_system(error, where) or unfit from error
    for name, *shapes in sorted(info["mismatched_keys"]):
        given, expected = (tuple(shape) for shape in shapes)
        raise UserError(f"{where}: its tensors do not fit its config.json: {name} is {given} in place of {expected}")
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(
            f"{where}: {len(missing)} tensors of {network_class.__name__} are missing, such as {missing[0]}"
        )
    return network.eval()


def configuration(network: PreTrainedModel) -> dict:
    """The configuration that `load` reads, without transformers' version, so that it does not change with it."""
    config = network.config.to_dict()
    config.pop("transformers_version", None)
    return config


def refuse_random(model: str) -> NoReturn:
    """Raise UserError: a model at its full size is of no use with random weights."""
    raise UserError(f"{model}: it is only of use with its released weights; set models.{model}.official or source")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' messages and progress bars, and restore them; its switch is the hub client's too."""
    verbosity, bar, hub_bar = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        not are_progress_bars_disabled(),
    )
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
        if not hub_bar:
            disable_progress_bars()
