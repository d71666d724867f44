"""SegGPT (Wang et al. 2023), as transformers' SegGptForImageSegmentation: support images in place of words.

Released as BAAI/seggpt-vit-large. A support image lies above the image and its mask, painted white on black, beside
them; the network paints what is missing below it. Both sides of every image are resized to 448. With several support
images the attention's output for the image is averaged over them in every block (feature ensemble). The authors' code
keeps the image and its painting apart in that average up to the block that merges the two; transformers averages over
both in that block alone, and what is here equals transformers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import SegGptConfig, SegGptForImageSegmentation

from promptseg.core.errors import UserError
from promptseg.data.image_io import to_rgb
from promptseg.nn import pretrained, weights
from promptseg.nn.image_transform import IMAGENET_MEAN, IMAGENET_STD, ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt, PromptConfig
from promptseg.prompts.support import STEPS, Support

TINY = dict(
    hidden_size=32, num_hidden_layers=4, num_attention_heads=4, image_size=(192, 96), patch_size=8,
    pretrain_image_size=64, decoder_hidden_size=16, merge_index=1, intermediate_hidden_state_indices=[2, 3],
)  # fmt: skip


@dataclass(frozen=True)
class PaintingTransform(ImageTransform):
    """Resize as SegGPT's processor does: images bicubic, masks to the nearest centers, paintings to the nearest."""

    keep_aspect: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def to_input(self, images: list[np.ndarray]) -> torch.Tensor:
        """Resize and normalize images (h, w[, 3]) uint8 to (n, 3, size, size) float32."""
        side = (self.size, self.size)
        return super().to_input(
            [np.array(Image.fromarray(to_rgb(image)).resize(side, Image.Resampling.BICUBIC)) for image in images]
        )

    def to_image(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Resample logits (p, side, side) to (p, height, width) float32."""
        return F.interpolate(logits[None].float(), (height, width), mode="nearest")[0]

    def paint(self, mask: np.ndarray) -> torch.Tensor:
        """Paint a mask (h, w) bool white on black, normalized like an image: (3, size, size) float32."""
        values = F.interpolate(
            torch.from_numpy(mask)[None, None].float(), (self.size, self.size), mode="nearest-exact"
        )[0]
        return (255 * values - self._channels(self.mean)) / self._channels(self.std)

    def painted(self, values: torch.Tensor) -> torch.Tensor:
        """Logits (h, w) of a painting (3, h, w): above 0 where a color is nearer to white than to black."""
        colors = values * self._channels(self.std).to(values) + self._channels(self.mean).to(values)
        return torch.logit(colors.clamp(0, 255).mean(dim=0) / 255, eps=1e-6)

    @staticmethod
    def _channels(values: tuple[float, float, float]) -> torch.Tensor:
        return torch.tensor(values)[:, None, None]


class SegGpt(Segmenter):
    """SegGPT; takes support images, as they are."""

    NAME = "seggpt"
    OFFICIAL = ("BAAI/seggpt-vit-large", None)
    PROMPTS = frozenset({"support"})
    CACHED = False  # image and support image are in one attention from the first block on

    transform: PaintingTransform

    def __init__(self, network: SegGptForImageSegmentation):
        super().__init__()
        self.network, self.transform = network, PaintingTransform(network.config.image_size[1])

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        torch.manual_seed(seed)
        return cls(SegGptForImageSegmentation(SegGptConfig(**(TINY if size == "tiny" else {})))).eval()

    @classmethod
    def convert(cls, source: Path) -> Self:
        return cls(pretrained.convert(SegGptForImageSegmentation, source, attention="eager")).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        return cls(pretrained.load(SegGptForImageSegmentation, config, tensors, folder, attention="eager")).eval()

    @classmethod
    def check_prompt(cls, config: PromptConfig) -> None:
        super().check_prompt(config)
        if config.visual_prompt not in ([], STEPS):
            raise UserError(f"params.yaml: {cls.NAME} takes support images as they are; leave out visual_prompt")

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.transform.to_input(images).to(self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        # One prompt at a time: its support images are what the network takes as a batch.
        rows = [
            [self._paint(pixels, prompt.get("support")) for prompt in row]
            for pixels, row in zip(features["pixels"], prompts, strict=True)
        ]
        return torch.stack([torch.stack(row) for row in rows])

    def configuration(self) -> dict:
        return {"model": self.NAME, "network": pretrained.configuration(self.network)}

    def _paint(self, pixels: torch.Tensor, support: Support) -> torch.Tensor:
        """Logits (size, size) of an image, (3, size, size), for one prompt."""
        shots = len(support.images)
        out = self.network.model(
            pixel_values=pixels.expand(shots, -1, -1, -1),
            prompt_pixel_values=self.transform.to_input([each.image for each in support.images]).to(pixels),
            prompt_masks=torch.stack([self.transform.paint(each.mask) for each in support.images]).to(pixels),
            feature_ensemble=shots > 1,
        )
        # The lower half, which is the same for all support images, and a row of patches above, which the decoder's
        # convolution sees.
        hidden = torch.cat(out.intermediate_hidden_states, dim=-1)[:1]
        hidden = hidden[:, hidden.shape[1] // 2 - 1 :]
        return self.transform.painted(self.network.decoder(hidden)[0, :, -self.transform.size :])
