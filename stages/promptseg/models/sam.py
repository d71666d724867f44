"""SAM (Kirillov et al. 2023), as transformers' SamModel: ViT encoder, prompt encoder, two-way mask decoder.

Released as facebook/sam-vit-base, -large and -huge, and as sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth and
sam_vit_h_4b8939.pth. A picture's longer side becomes 1024 and the rest is padded.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import SamModel

from promptseg.nn import precision, sam_network, weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.sam_network import MEAN, STD
from promptseg.nn.segmenter import Features, SamSegmenter


class Sam(SamSegmenter):
    NAME = "sam"

    def __init__(self, network: SamModel, single_mask: bool = False):
        super().__init__(network, ImageTransform(network.config.vision_config.image_size, True, MEAN, STD), single_mask)

    def encode(self, images: list[np.ndarray]) -> Features:
        with self.encoding():
            return {"image": self.network.vision_encoder(self.frame.pixels(images).to(self.device)).last_hidden_state}

    def image_embeddings(self, features: Features) -> torch.Tensor:
        return features["image"]


def create(size: str, seed: int) -> Sam:
    return Sam(sam_network.create(SamModel, size, seed)).eval()


def convert(source: Path) -> Sam:
    return Sam(sam_network.convert(SamModel, source)).eval()


def load(folder: Path, classes: int) -> Sam:
    return restore(*weights.read(folder), folder)


def restore(config: dict, tensors: dict[str, torch.Tensor], folder: Path) -> Sam:
    """From its configuration and tensors, which stood in the folder, maybe as a part of another model's."""
    network = sam_network.restore(SamModel, config, tensors, folder)
    return precision.stored(Sam(network, config["single_mask"]), config).eval()
