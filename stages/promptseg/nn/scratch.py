"""Networks that are trained from scratch: as nothing is frozen, `encode` only resizes and normalizes."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from promptseg.nn import class_outputs, weights
from promptseg.nn.image_transform import MIDDLE_MEAN, MIDDLE_STD, ImageTransform
from promptseg.nn.segmenter import Features, Segmenter


class ScratchSegmenter(Segmenter):
    """A network whose encoder learns too.

    Args:
        architecture: one of SIZES; `size` is the side of the input in pixels.
        classes: number of outputs, where the network has one for each class.

    Attributes:
        SIZES: architectures, "tiny" and "full".
        LAST: prefix of the layer that has an output for each class; None where there is no such layer.
    """

    CACHED = False
    SIZES: ClassVar[dict[str, dict[str, Any]]]
    LAST: ClassVar[str | None] = None

    def __init__(self, architecture: dict, classes: int = 1):
        super().__init__()
        self.architecture = architecture
        self.transform = ImageTransform(architecture["size"], False, MIDDLE_MEAN, MIDDLE_STD)

    @classmethod
    def create(cls, size: str, seed: int) -> Self:
        torch.manual_seed(seed)
        return cls(cls.SIZES[size]).eval()

    @classmethod
    def load(cls, folder: Path, classes: int) -> Self:
        config, tensors = weights.read(folder)
        torch.manual_seed(classes)
        model = cls(config["architecture"], classes)
        class_outputs.load_tensors(model, tensors, folder, cls.LAST)
        return model.eval()

    def encode(self, images: list[np.ndarray]) -> Features:
        return {"pixels": self.transform.to_input(images).to(self.device)}

    def configuration(self) -> dict:
        return {"model": self.NAME, "architecture": self.architecture}
