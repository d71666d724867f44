"""Low-rank adapters (LoRA, Hu et al. 2022) beside the linear layers of a frozen network, through peft.

Only the tensors of the adapters are trained and saved. They are merged into the layers when they are loaded, so a
fine-tuned encoder costs no more than the released one.
"""

from typing import TYPE_CHECKING

import torch

from promptseg.core.train_config import Lora

if TYPE_CHECKING:
    from peft.tuners.lora import LoraModel


def attach(network: torch.nn.Module, suffix: str | tuple[str, ...], config: Lora) -> "LoraModel":
    """Attach adapters to all linear layers whose names have one of these suffixes; their output is 0 until trained.

    Returns:
        The wrapper of peft, whose `merge_and_unload` adds the adapters to the layers and removes them.
    """
    from peft import LoraConfig  # late: the import takes seconds, and few runs need it
    from peft.tuners.lora import LoraModel

    targets = [name for name, _ in network.named_modules() if name.endswith(suffix)]
    settings = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets)
    return LoraModel(network, settings, "default")
