"""The whole image as mask: the floor of every model on a dataset with one class, whatever prompts it.

With several classes all pixels are of the first one, as a pixel has one label and nothing says which class is the most
frequent; `random_mask` is the better floor there.
"""

import numpy as np

from promptseg.nn.segmenter import Features
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt


class WholeImage(TrivialSegmenter):
    """Every pixel is of class 1."""

    NAME = "whole_image"

    def foreground(self, features: Features, prompts: list[Prompt], height: int, width: int) -> np.ndarray:
        return np.array([prompt.target == 1 for prompt in prompts])[:, None, None]
