"""Small targets and predictions, and the counting rules written out by hand."""

import numpy as np
import torch
from hypothesis import strategies as st
from promptseg.data.image_io import IGNORED


def binary(target, value) -> tuple[np.ndarray, np.ndarray]:
    """Target and probability map from rows of 0, 1, 255 and of values in [0, 255]."""
    return np.array(target, np.uint8), np.array([value], np.uint8)


def one_row(tp: int, fp: int, fn: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of one row with so many true positives, false positives and false negatives."""
    return binary([[1] * tp + [0] * fp + [1] * fn], [[255] * (tp + fp) + [0] * fn])


@st.composite
def images(draw, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Target with ignored pixels, probabilities that are not independent of it, and which pixels count."""
    size = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    target = rng.choice(sorted(draw(st.sets(st.integers(0, classes), min_size=1))), size).astype(np.uint8)
    probability = rng.integers(0, 256, (classes, *size), dtype=np.uint8)
    for label in range(1, classes + 1):
        sure = (target == label) & (rng.random(size) < 0.6)
        probability[label - 1][sure] = rng.integers(120, 256, sure.sum())
    target[rng.random(size) < draw(st.sampled_from([0, 0.2]))] = IGNORED
    return target, probability, draw(st.sampled_from([None, rng.random(size) < 0.8]))


def counted_pixels(target, probability, valid) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (n,) and probabilities (K, n) of the pixels that count."""
    counted = target != IGNORED if valid is None else (target != IGNORED) & valid
    return torch.from_numpy(target[counted].astype(np.int64)), torch.from_numpy(probability[:, counted])


def band_by_hand(mask: np.ndarray) -> set[tuple[int, int]]:
    """mask_to_boundary of Cheng et al. 2021, pixel by pixel."""
    distance = max(1, int(round(0.02 * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    inside = {tuple(place) for place in np.argwhere(mask).tolist()}
    steps = range(-distance, distance + 1)
    return {(y, x) for y, x in inside if any((y + i, x + j) not in inside for i in steps for j in steps)}
