"""The box itself as mask: the floor of every model that is prompted by the same box.

A pixel is foreground where it is no further out than the first and the last pixel of the box, both included; with a
jittered box, whose corners lie between pixels, these are the pixels whose whole area is inside.
"""

import numpy as np

from promptseg.nn.segmenter import Features
from promptseg.nn.trivial import TrivialSegmenter
from promptseg.prompts import Prompt


class FilledBox(TrivialSegmenter):
    """All pixels of the box."""

    NAME = "filled_box"
    PROMPTS = frozenset({"box"})

    def foreground(self, features: Features, prompts: list[Prompt], height: int, width: int) -> np.ndarray:
        x0, y0, x1, y1 = np.stack([prompt.get("box").corners for prompt in prompts], axis=1)[..., None]
        columns, rows = np.arange(width), np.arange(height)
        across, down = (x0 <= columns) & (columns <= x1), (y0 <= rows) & (rows <= y1)
        return down[:, :, None] & across[:, None, :]
