"""SAM (Kirillov et al. 2023), as transformers' SamModel: ViT encoder, prompt encoder, two-way mask decoder.

Released as facebook/sam-vit-base, -large and -huge. A picture's longer side becomes 1024 and the rest is padded.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import SamConfig, SamModel

from promptseg import weights
from promptseg.frame import Frame
from promptseg.segmenter import Features, Interactive

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
TINY = {
    "vision_config": dict(
        hidden_size=64, output_channels=64, num_hidden_layers=4, num_attention_heads=4, image_size=256, patch_size=8,
        window_size=8, global_attn_indexes=[1, 3], num_pos_feats=32, mlp_ratio=2.0, initializer_range=0.02,
    ),
    "prompt_encoder_config": dict(hidden_size=64, image_size=256, patch_size=8),
    "mask_decoder_config": dict(hidden_size=64, mlp_dim=128, num_attention_heads=4, iou_head_hidden_dim=64),
}  # fmt: skip


class Sam(Interactive):
    NAME = "sam"

    def __init__(self, network: SamModel, single_mask: bool = False):
        super().__init__(network, Frame(network.config.vision_config.image_size, True, MEAN, STD), single_mask)

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"image": self.network.get_image_embeddings(self.frame.pixels(images).to(self.device))}

    def image_embeddings(self, features: Features) -> torch.Tensor:
        return features["image"]


def create(size: str, seed: int) -> Sam:
    torch.manual_seed(seed)
    return Sam(SamModel(SamConfig(**(TINY if size == "tiny" else {})))).eval()


def convert(source: Path) -> Sam:
    config, tensors = weights.released(source)
    config = SamConfig.from_dict(json.loads(config.read_text()))
    return Sam(weights.fill(SamModel, config, weights.tensors(tensors), source)).eval()


def load(folder: Path, classes: int) -> Sam:
    config, tensors = weights.read(folder)
    network = weights.fill(
        SamModel, SamConfig.from_dict(config["network"]), weights.without(tensors, "network."), folder
    )
    return Sam(network, config["single_mask"]).eval()
