"""Low-rank adapters (LoRA, Hu et al. 2022) beside the linear layers of a frozen network, as peft has them.

Only the adapters' tensors are learned and kept. Once they are put back they are added into the layers, so a fine-tuned
encoder costs no more than the released one.
"""

import torch

from promptseg.core import params


def attach(network: torch.nn.Module, layers: str, settings: params.Lora):
    """Put adapters beside the linear layers whose names end so; what they add is 0 until they learn. Gives peft's
    LoraModel, whose merge_and_unload adds them into the layers and takes them out."""
    from peft import LoraConfig  # late: it takes seconds, and few runs need it
    from peft.tuners.lora import LoraModel

    found = [name for name, _ in network.named_modules() if name.endswith(layers)]
    return LoraModel(network, LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=found), "default")
