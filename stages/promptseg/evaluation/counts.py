"""Pixel counts of predicted masks, from which the metrics are computed.

A target is (h, w) uint8: 0 background, i class i (1..K), 255 ignored. A prediction is (K, h, w) uint8, each value
min(255, floor(256 p)) of a probability p. Ignored pixels, and those that are False in `valid`, are treated like what
lies beyond the image: they are not counted, and boundaries run along them in target and prediction alike.
"""

import math

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import masks
from promptseg.data.image_io import IGNORED

PIXEL_COUNTS = ("tp", "fp", "fn", "tn")
BOUNDARY_COUNTS = ("boundary_intersection", "boundary_union")
COUNTS = (*PIXEL_COUNTS, *BOUNDARY_COUNTS)


def label_map(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Assign each pixel to a class.

    Args:
        probability: (K, h, w) uint8.
        threshold: probability from which on a pixel is foreground.

    Returns:
        (h, w) uint8, the most probable class, the lower one of two with equal probability, where it reaches the
        threshold; elsewhere 0.
    """
    best = probability.max(axis=0)
    result = np.zeros(best.shape, np.uint8)
    for label in range(len(probability), 0, -1):  # downwards, so that the lower of two equal classes is written last
        np.putmask(result, probability[label - 1] == best, label)
    np.putmask(result, best < lowest_value(threshold), 0)
    return result


def count(
    target: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None = None, threshold: float = 0.5
) -> np.ndarray:
    """Count the pixels of one image by class and outcome.

    Args:
        target: (h, w) uint8.
        probability: (classes, h, w) uint8.
        classes: number of classes.
        valid: (h, w) bool, pixels that count; None: all.
        threshold: probability from which on a pixel is foreground.

    Returns:
        (classes, 6) int64 in the order of COUNTS. The last two are intersection and union of the boundary bands of
        target and prediction (Boundary IoU, Cheng et al. 2021).

    Raises:
        UserError: the sizes differ or a label is unknown.
        TypeError: a dtype is wrong.
    """
    counted = counted_pixels(target, probability, classes, valid)
    predicted = np.where(counted, label_map(probability, threshold), 0)
    result = np.zeros((classes, len(COUNTS)), np.int64)
    pixels = np.count_nonzero(counted)
    for label in range(1, classes + 1):
        true, guess = counted & (target == label), predicted == label
        tp, positive, claimed = (np.count_nonzero(mask) for mask in (true & guess, true, guess))
        intersection = union = 0
        if positive or claimed:
            band, guess_band = masks.boundary_band(true), masks.boundary_band(guess)
            intersection, union = int(np.count_nonzero(band & guess_band)), int(np.count_nonzero(band | guess_band))
        tn = pixels - positive - claimed + tp
        result[label - 1] = tp, claimed - tp, positive - tp, tn, intersection, union
    return result


def counted_pixels(
    target: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None = None
) -> np.ndarray:
    """Return which pixels count, (h, w) bool. Arguments and errors as for `count`."""
    if target.dtype != np.uint8 or probability.dtype != np.uint8 or (valid is not None and valid.dtype != bool):
        raise TypeError("target and probability are uint8, valid is bool")
    if target.ndim != 2 or target.size == 0:
        raise UserError(f"the mask should be (h, w), got {target.shape}")
    expected = (classes, *target.shape)
    if probability.shape != expected:
        raise UserError(
            f"the prediction should be {expected} by classes and mask, got {probability.shape}; predict again"
        )
    if valid is not None and valid.shape != target.shape:
        raise UserError(f"the valid pixels should be {target.shape} like the mask, got {valid.shape}")
    counted = target != IGNORED
    unknown = counted & (target > classes)
    if unknown.any():
        label = target[unknown].min()
        raise UserError(f"label {label} in the mask; known: 0 (background), 1..{classes}, {IGNORED} (ignored)")
    return counted if valid is None else counted & valid


def lowest_value(threshold: float) -> int:
    """Return the lowest stored value that reaches a threshold; 256 * threshold is exact in floating point."""
    return math.ceil(256 * threshold)
