"""MedSAM (Ma et al. 2024): SAM ViT-B trained on medical pictures; a box in, one mask out.

Released as medsam_vit_b.pth (segment_anything's layout) and as wanglab/medsam-vit-base. Pictures and answers are scaled
as in the authors' MedSAM_Inference.py, which is unlike SAM's way.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import SamModel

from promptseg.core.errors import UserError
from promptseg.data.image_io import rgb
from promptseg.nn import precision, sam_network
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, SamSegmenter


@dataclass(frozen=True)
class OwnRange(ImageTransform):
    """A square without the aspect, whose values go from 0 to 1 between the picture's own extremes.

    First the size, in 8 bits, then the range, over all channels at once. The authors resize with scikit-image (spline
    of order 3, with anti-aliasing, clipped to the range it had); ours is Pillow's bicubic, 0.6 to 1.4
    levels of 255 away in the mean.
    """

    keep_aspect: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def pixels(self, images: list[np.ndarray]) -> torch.Tensor:
        """Pictures (h, w) or (h, w, 3) uint8 of any sizes -> (n, 3, size, size) float32 in [0, 1]; a flat one is 0."""
        out = torch.zeros(len(images), 3, self.size, self.size)
        for place, image in zip(out, images):
            resized = Image.fromarray(rgb(image)).resize((self.size, self.size), Image.Resampling.BICUBIC)
            values = np.clip(np.array(resized), image.min(), image.max()).astype(np.float32)
            low, high = values.min(), values.max()
            place[:] = torch.from_numpy((values - low) / max(high - low, 1e-8)).permute(2, 0, 1)
        return out

    def to_picture(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As ImageTransform's, but it is the probabilities that the authors interpolate, not the logits."""
        return torch.logit(super().to_picture(torch.sigmoid(logits.float()), height, width), eps=1e-6)


class MedSam(SamSegmenter):
    NAME = "medsam"
    PROMPTS = frozenset({"box"})

    def __init__(self, network: SamModel):
        super().__init__(network, OwnRange(network.config.vision_config.image_size), single_mask=True)

    def encode(self, images: list[np.ndarray]) -> Features:
        with self.encoding():
            return {"image": self.network.vision_encoder(self.frame.pixels(images).to(self.device)).last_hidden_state}

    def image_embeddings(self, features: Features) -> torch.Tensor:
        return features["image"]


def create(size: str, seed: int) -> MedSam:
    if size != "tiny":
        raise UserError("medsam: it is only of use with its released weights; set models.medsam.official or source")
    return MedSam(sam_network.create(SamModel, size, seed)).eval()


def convert(source: Path) -> MedSam:
    return MedSam(sam_network.convert(SamModel, source)).eval()


def load(folder: Path, classes: int) -> MedSam:
    config, network = sam_network.load(SamModel, folder)
    return precision.stored(MedSam(network), config).eval()
