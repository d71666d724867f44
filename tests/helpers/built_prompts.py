"""Prompts that are built for a mask with several classes and instances."""

import numpy as np
import pytest
from promptseg.prompts import PromptConfig, PromptSource, build_prompts

NAMES = ["cat", "dog", "cow"]


@pytest.fixture
def mask():
    """Classes 1 and 2 with two components each, the second of class 1 joined at a corner; ignored pixels between."""
    mask = np.zeros((40, 60), np.uint8)
    mask[3:10, 5:18] = mask[20:24, 30:34] = mask[24:30, 34:37] = 1
    mask[2:8, 40:55] = mask[33:39, 2:4] = 2
    mask[10:20, 18:30] = mask[4:7, 8:12] = 255
    return mask


def build(config: PromptConfig, mask: np.ndarray, classes: list[str], seed: int = 0, id: str = "a", **source):
    """Prompts and the full masks of their regions."""
    prompts, regions = build_prompts(config, PromptSource(id, mask, classes, seed, **source))
    return prompts, [region.full() for region in regions]


def points_of(prompt) -> np.ndarray:
    return prompt.get("points").coordinates
