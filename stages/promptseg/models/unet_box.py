"""U-Net prompted by a box, which is a fourth input channel.

In no study; a baseline for SAM with oracle boxes: what a plain network does with the same prompt.
"""

import numpy as np
import torch

from promptseg.nn import unets
from promptseg.nn.scratch import ScratchSegmenter
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt


class UnetBox(ScratchSegmenter):
    """U-Net that is prompted by a box."""

    NAME = "unet_box"
    PROMPTS = frozenset({"box"})
    TRAIN_DEFAULTS = {"trainable": ["all"], "loss": "dice_bce", "lr": 1e-3, "batch_size": 4}
    TRAINABLE = {"all": ("network.",)}
    SIZES = unets.SIZES

    def __init__(self, architecture: dict, classes: int = 1):
        super().__init__(architecture)
        self.network = unets.build(architecture, 4, 1)

    def decode(self, features: Features, prompts: list[list[Prompt]]) -> torch.Tensor:
        n, p, side = len(prompts), len(prompts[0]), self.transform.size
        boxes = np.stack([prompt.get("box").corners for row in prompts for prompt in row])
        # A box ends with its last pixel, so that one of a single pixel is not empty.
        extents = torch.as_tensor(boxes + [0, 0, 1, 1], dtype=torch.float32, device=self.device)
        inside = coverage(extents, side)
        pixels = features["pixels"].repeat_interleave(p, dim=0)
        return self.network(torch.cat([pixels, inside[:, None]], dim=1)).reshape(n, p, side, side)


def coverage(boxes: torch.Tensor, side: int) -> torch.Tensor:
    """Compute the share of each pixel that lies in a box.

    Args:
        boxes: (m, 4) x0, y0, x1, y1 in pixels of the input.
        side: of the input, pixels.

    Returns:
        (m, side, side) float32 in [0, 1].
    """
    start = torch.arange(side, device=boxes.device)
    shares = []
    for axis in (0, 1):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        shares.append((torch.minimum(start + 1, high) - torch.maximum(start, low)).clamp(0, 1))
    return shares[1][:, :, None] * shares[0][:, None, :]
