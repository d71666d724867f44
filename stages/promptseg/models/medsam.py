"""MedSAM (Ma et al. 2024): SAM ViT-B trained on medical images; one box in, one mask out.

Released as medsam_vit_b.pth (in the layout of segment_anything) and as wanglab/medsam-vit-base. Images and predictions
are resampled as in the authors' MedSAM_Inference.py, which differs from SAM.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from PIL import Image
from transformers import SamConfig

from promptseg.data.image_io import to_rgb
from promptseg.nn import pretrained
from promptseg.nn.image_transform import ImageTransform, ProbabilityTransform
from promptseg.nn.sam_segmenter import SamSegmenter


@dataclass(frozen=True)
class MinMaxTransform(ProbabilityTransform):
    """Resize to a square without keeping the aspect, then scale values to [0, 1] between the image's own extremes.

    The image is resized in 8 bits before its extremes are taken, over all channels at once. The authors resize with
    scikit-image (spline of order 3 with anti-aliasing, clipped to the range of the image); Pillow's bicubic, used here,
    differs by 0.6 to 1.4 levels of 255 in the mean.
    """

    keep_aspect: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def to_input(self, images: list[np.ndarray]) -> torch.Tensor:
        """Resize and scale images (h, w[, 3]) uint8 to (n, 3, size, size) float32; constant images become 0."""
        out = torch.zeros(len(images), 3, self.size, self.size)
        for target, image in zip(out, images):
            resized = Image.fromarray(to_rgb(image)).resize((self.size, self.size), Image.Resampling.BICUBIC)
            values = np.clip(np.array(resized), image.min(), image.max()).astype(np.float32)
            low, high = values.min(), values.max()
            target[:] = torch.from_numpy((values - low) / max(high - low, 1e-8)).permute(2, 0, 1)
        return out


class MedSam(SamSegmenter):
    """MedSAM; takes boxes."""

    NAME = "medsam"
    OFFICIAL = ("wanglab/medsam-vit-base", "de8488bca37bb1d4fb190f612c516126d739ce3b")
    PROMPTS = frozenset({"box"})
    TRAIN_DEFAULTS = {"trainable": ["encoder", "mask_decoder"], "loss": "dice_bce", "lr": 1e-4, "batch_size": 2}

    single_mask = True

    @staticmethod
    def image_transform(config: SamConfig) -> ImageTransform:
        return MinMaxTransform(config.vision_config.image_size)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        if size != "tiny":
            pretrained.refuse_random(cls.NAME)
        return super().create(size, seed)
