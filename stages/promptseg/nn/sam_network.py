"""The network of SAM (Kirillov et al. 2023), for all models built on it: made, converted, loaded.

`kind` is transformers' SamModel or a class of ours on top of it.
"""

import json
from pathlib import Path

import torch
from transformers import SamConfig, SamModel

from promptseg.nn import sam_checkpoint, weights

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TINY = {
    "vision_config": dict(
        hidden_size=64, output_channels=64, num_hidden_layers=4, num_attention_heads=4, image_size=256, patch_size=8,
        window_size=8, global_attn_indexes=[1, 3], num_pos_feats=32, mlp_ratio=2.0, initializer_range=0.02,
    ),
    "prompt_encoder_config": dict(hidden_size=64, image_size=256, patch_size=8),
    "mask_decoder_config": dict(hidden_size=64, mlp_dim=128, num_attention_heads=4, iou_head_hidden_dim=64),
}  # fmt: skip


def create(kind: type[SamModel], size: str, seed: int) -> SamModel:
    """A network with seeded random weights; size: "tiny", or "full" for ViT-B."""
    torch.manual_seed(seed)
    return kind(SamConfig(**(TINY if size == "tiny" else {}))).eval()


def convert(kind: type[SamModel], source: Path) -> SamModel:
    """A network from a folder as the hub has it, or from a .pth file of segment_anything's layout. Raises UserError."""
    if source.is_file() and source.suffix in sam_checkpoint.SUFFIXES:
        original = sam_checkpoint.tensors(source)
        return weights.fill(kind, sam_checkpoint.config(original, source), sam_checkpoint.converted(original), source)
    config, tensors = weights.released(source)
    return weights.fill(kind, SamConfig.from_dict(json.loads(config.read_text())), weights.tensors(tensors), source)


def load(kind: type[SamModel], folder: Path) -> tuple[dict, SamModel]:
    """Configuration and network of one of our own checkpoint folders. Raises UserError if anything in it has changed."""
    config, tensors = weights.read(folder)
    return config, restore(kind, config, tensors, folder)


def restore(kind: type[SamModel], config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> SamModel:
    """A network from what one of our own checkpoint folders holds."""
    return weights.fill(kind, SamConfig.from_dict(config["network"]), weights.without(tensors, "network."), folder)
