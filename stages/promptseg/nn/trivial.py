"""Trivial predictions: what is reached without looking at what an image shows, a floor for every other model.

They are models like any other, so that their scores come from the same images by the same code. Their input is the
image itself, so that a prediction is exact to the pixel.
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from promptseg.nn import weights
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

LOGIT = 20.0  # of the foreground; its negative elsewhere


@dataclass(frozen=True)
class OriginalSize(ImageTransform):
    """The image as its own input: nothing is resized, and the input is padded to a square on the right and below.

    Its size is the longest side of the images in a batch, so that `size` says nothing.
    """

    size: int = 0
    keep_aspect: bool = True
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def content_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image itself."""
        return height, width

    def to_image(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Cut off the padding: (p, side, side) -> (p, height, width)."""
        return logits[:, :height, :width]


class TrivialSegmenter(Segmenter):
    """A prediction that follows from the prompt alone, or from nothing.

    The checkpoint of all of them is a seed, which `random_mask` uses.

    Args:
        seed: of the study.
        classes: number of classes of the dataset.
    """

    PROMPTS = frozenset({"none"})
    CACHED = False

    def __init__(self, seed: int, classes: int = 1):
        super().__init__()
        self.transform, self.classes = OriginalSize(), classes
        self.register_buffer("seed", torch.tensor(seed))

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        """The same at both sizes."""
        return cls(seed).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        """Read the seed in a checkpoint."""
        return cls(int(weights.read(folder)[1]["seed"]), classes).eval()

    @property
    def device(self) -> torch.device:
        """Device of the seed, as there are no parameters."""
        return self.seed.device

    def encode(self, images: list[np.ndarray]) -> Features:
        """Height and width of each image, (n, 2)."""
        return {"size": torch.tensor([image.shape[:2] for image in images], dtype=torch.float32, device=self.device)}

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        """Logits (n, p, side, side), all of them LOGIT or its negative; side: the longest of the images."""
        side = int(features["size"].max())
        inside = np.zeros((len(prompts), len(prompts[0]), side, side), bool)
        for index, row in enumerate(prompts):
            height, width = features["size"][index].int().tolist()
            own = {name: values[index] for name, values in features.items()}
            inside[index, :, :height, :width] = self.foreground(own, row, height, width)
        return torch.from_numpy(np.where(inside, np.float32(LOGIT), np.float32(-LOGIT))).to(self.device)

    @abstractmethod
    def foreground(self, features: Features, prompts: list[Prompt], height: int, width: int) -> np.ndarray:
        """Predict the pixels of each prompt in one image.

        Args:
            features: of the image, without the dimension of the batch.
            prompts: p prompts, in pixels of the image.
            height: of the image, pixels.
            width: of the image, pixels.

        Returns:
            (p, height, width) bool, or what broadcasts to it.
        """

    def configuration(self) -> dict:
        """The name of the model, as its seed is a tensor."""
        return {"model": self.NAME}
