"""Image transform: from an image to a model's square input, and back for prompts, masks and logits."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from promptseg.data.image_io import to_rgb

# Mean and standard deviation of the pixel values in [0, 255], red, green, blue.
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # SAM's, SAM 2's and CLIPSeg's too
CLIP_MEAN, CLIP_STD = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)
HALF_MEAN, HALF_STD = (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)  # SAM 3's
MIDDLE_MEAN, MIDDLE_STD = (127.5, 127.5, 127.5), (64.0, 64.0, 64.0)  # for networks that are trained from scratch


@dataclass(frozen=True)
class ImageTransform:
    """Resize to a square input and normalize.

    Attributes:
        size: side of the input, pixels.
        keep_aspect: the longer side becomes `size` and the rest is zeros on the right or below (SAM); otherwise both
            sides become `size` (SAM 2, CLIPSeg, U-Net).
        mean, std: of the pixel values in [0, 255], a channel each.
    """

    size: int
    keep_aspect: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def content_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a resized image within the input, rounded as segment_anything's ResizeLongestSide."""
        if not self.keep_aspect:
            return self.size, self.size
        scale = self.size / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def scale(self, height: int, width: int) -> np.ndarray:
        """Factors (2,) from x, y in a (height, width) image to x, y in the input."""
        content = self.content_size(height, width)
        return np.array([content[1] / width, content[0] / height])

    def to_input(self, images: list[np.ndarray]) -> torch.Tensor:
        """Resize, normalize and pad images.

        Args:
            images: n arrays (h, w) or (h, w, 3) uint8 of any sizes.

        Returns:
            (n, 3, size, size) float32; padding is 0 after normalization.
        """
        # Torch aligns memory to 64 bytes, numpy to 16, and the last bits of a convolution depend on where it begins.
        out = torch.zeros(len(images), 3, self.size, self.size)
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std))

        def fill(target: np.ndarray, image: np.ndarray) -> None:
            height, width = self.content_size(*image.shape[:2])
            content = target[:, :height, :width]
            resized = Image.fromarray(to_rgb(image)).resize((width, height), Image.Resampling.BILINEAR)
            content[...] = np.asarray(resized).transpose(2, 0, 1)
            content -= mean
            content /= std

        if len(images) == 1:
            fill(out[0].numpy(), images[0])
        else:  # a batch, as a GPU takes it, which would wait for one core
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(fill, out.numpy(), images))
        return out

    def to_image(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Resample logits over the input to the size of the image, bilinearly.

        With `keep_aspect` this goes by way of the input's own size, as segment_anything does.

        Args:
            logits: (p, side, side).
            height: of the image, pixels.
            width: of the image, pixels.

        Returns:
            (p, height, width) float32.
        """
        logits = logits[None].float()
        if self.keep_aspect:
            content = self.content_size(height, width)
            logits = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
            logits = logits[..., : content[0], : content[1]]
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)[0]

    def from_image(self, mask: np.ndarray, side: int) -> np.ndarray:
        """Resample a map over the image to a map over the input.

        Downsampling averages areas, so that a thin object keeps its share instead of falling between two samples.

        Args:
            mask: (h, w) in [0, 1], bool or float.
            side: of the result, pixels.

        Returns:
            (side, side) float32, 0 in the padding.
        """
        content = self.content_size(*mask.shape)
        height, width = (max(1, round(length * side / self.size)) for length in content)
        shrinks = height < mask.shape[0] or width < mask.shape[1]
        out = np.zeros((side, side), np.float32)
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        out[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=interpolation)
        return out


@dataclass(frozen=True)
class ProbabilityTransform(ImageTransform):
    """A transform whose `to_image` interpolates probabilities, not logits, as MedSAM's and SAM 3's own code does."""

    def to_image(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Resample to the size of the image; the logits are finite."""
        return torch.logit(super().to_image(torch.sigmoid(logits.float()), height, width), eps=1e-6)
