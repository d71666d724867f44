"""The square that a network sees, and the way there and back for pictures, prompts, masks and logits."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from promptseg.data.image_io import rgb
from promptseg.prompts import Prompt


@dataclass(frozen=True)
class ImageTransform:
    """A square input of `size` pixels a side.

    keep_aspect: the longer side becomes `size` and the rest is zeros on the right or below (SAM); otherwise both
    sides become `size` (SAM 2, CLIPSeg, U-Net). mean, std: of the pixel values in [0, 255], one for each channel.
    """

    size: int
    keep_aspect: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def content(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture takes in the frame, as segment_anything's ResizeLongestSide rounds them."""
        if not self.keep_aspect:
            return self.size, self.size
        scale = self.size / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def pixels(self, images: list[np.ndarray]) -> torch.Tensor:
        """Pictures (h, w) or (h, w, 3) uint8 of any sizes -> (n, 3, size, size) float32, normalized, padded with 0."""
        mean, std = torch.tensor(self.mean)[:, None, None], torch.tensor(self.std)[:, None, None]
        out = torch.zeros(len(images), 3, self.size, self.size)
        for place, image in zip(out, images):
            height, width = self.content(*image.shape[:2])
            resized = Image.fromarray(rgb(image)).resize((width, height), Image.Resampling.BILINEAR)
            values = torch.from_numpy(np.array(resized)).permute(2, 0, 1)
            place[:, :height, :width] = (values - mean) / std
        return out

    def prompt(self, prompt: Prompt, height: int, width: int) -> Prompt:
        """The same prompt in the frame's pixels instead of those of a (height, width) picture."""
        inner = self.content(height, width)
        scale = np.array([inner[1] / width, inner[0] / height])
        return replace(
            prompt,
            points=None if prompt.points is None else prompt.points * scale,
            box=None if prompt.box is None else prompt.box * np.tile(scale, 2),
            mask=None if prompt.mask is None else self.from_picture(prompt.mask, self.size),
        )

    def to_picture(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Logits (p, side, side) over the frame -> (p, height, width) over the picture, bilinear.

        Where the aspect is kept this goes by way of the frame's own size, as segment_anything does.
        """
        logits = logits[None].float()
        if self.keep_aspect:
            inner = self.content(height, width)
            logits = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
            logits = logits[..., : inner[0], : inner[1]]
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[0]

    def from_picture(self, mask: np.ndarray, side: int) -> np.ndarray:
        """A map (h, w) in [0, 1] over the picture -> (side, side) float32 over the frame, 0 where padded.

        Shrinking averages areas, so that a thin object keeps its share instead of falling between two samples.
        """
        inner = self.content(*mask.shape)
        height, width = (max(1, round(length * side / self.size)) for length in inner)
        shrinks = height < mask.shape[0] or width < mask.shape[1]
        out = np.zeros((side, side), np.float32)
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        out[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=how)
        return out
