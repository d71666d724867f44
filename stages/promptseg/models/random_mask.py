"""A random mask: the floor of every model on a dataset with several classes, whatever prompts it.

Each pixel gets the background or one of the classes, all equally probable and independent of its neighbors; with one
class it is foreground with probability 1/2. Random blobs would have the same expected counts of pixels, and so the same
expected IoU. The random numbers follow from the seed and from the pixels of the image, not from its place in a split.
"""

import hashlib

import numpy as np
import torch

from promptseg.data.image_io import to_rgb
from promptseg.nn.segmenter import Features
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt


class RandomMask(TrivialSegmenter):
    """A random label for each pixel."""

    NAME = "random_mask"

    def encode(self, images: list[np.ndarray]) -> Features:
        """Besides the sizes, a digest of each image as (n, 16) integers of 16 bits, which are exact in float32."""
        digests = np.stack([self._digest(to_rgb(image)) for image in images])
        return super().encode(images) | {"digest": torch.tensor(digests, dtype=torch.float32, device=self.device)}

    def foreground(self, features: Features, prompts: list[Prompt], height: int, width: int) -> np.ndarray:
        rng = np.random.default_rng(features["digest"].int().tolist())
        labels = rng.integers(0, self.classes + 1, (height, width), np.uint8)
        return np.stack([labels == prompt.target for prompt in prompts])

    def _digest(self, image: np.ndarray) -> np.ndarray:
        """Digest of the seed and of an image, (16,) int in [0, 65535]."""
        digest = hashlib.sha256(f"{int(self.seed)}/{image.shape}/".encode())
        digest.update(np.ascontiguousarray(image).data)
        return np.frombuffer(digest.digest(), "<u2").astype(int)
