"""The network of SAM (Kirillov et al. 2023) for all models built on it: tiny configuration, creation, conversion."""

from pathlib import Path
from typing import TypeVar

import torch
from transformers import SamConfig, SamModel

from promptseg.nn import pretrained, sam_checkpoint, weights

N = TypeVar("N", bound=SamModel)
TINY = {
    "vision_config": dict(
        hidden_size=64, output_channels=64, num_hidden_layers=4, num_attention_heads=4, image_size=256, patch_size=8,
        window_size=8, global_attn_indexes=[1, 3], num_pos_feats=32, mlp_ratio=2.0, initializer_range=0.02,
    ),
    "prompt_encoder_config": dict(hidden_size=64, image_size=256, patch_size=8),
    "mask_decoder_config": dict(hidden_size=64, mlp_dim=128, num_attention_heads=4, iou_head_hidden_dim=64),
}  # fmt: skip


def create(network_class: type[N], size: str, seed: int) -> N:
    """Create a network with seeded random weights. size: "tiny", or "full" for ViT-B."""
    torch.manual_seed(seed)
    return network_class(SamConfig(**(TINY if size == "tiny" else {}))).eval()


def convert(network_class: type[N], source: Path) -> N:
    """Build a network from released files.

    Args:
        network_class: SamModel, or a subclass of ours.
        source: folder in the layout of the hub, or a file of tensors named as in segment_anything or as in SamModel.

    Raises:
        UserError: the files are missing or do not fit.
    """
    if weights.is_single_file(source):
        return sam_checkpoint.load(network_class, sam_checkpoint.read(source), source)
    return pretrained.convert(network_class, source)
