"""The empty mask: a floor for what counts images without any object, such as accuracy; its IoU with an object is 0."""

import numpy as np

from promptseg.nn.segmenter import Features
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt


class Nothing(TrivialSegmenter):
    """No pixel is of any class."""

    NAME = "nothing"

    def foreground(self, features: Features, prompts: list[Prompt], height: int, width: int) -> np.ndarray:
        return np.zeros((len(prompts), 1, 1), bool)
