"""Pixel counts of predicted masks, from which the metrics are computed.

A target is (h, w) uint8: 0 background, i class i (1..K), 255 ignored. A prediction is (K, h, w) uint8, each value
min(255, floor(256 p)) of a probability p. Ignored pixels, and those that are False in `valid`, are treated like what
lies beyond the image: they are not counted, and boundaries run along them in target and prediction alike.

Every pixel is predicted as one class or as background (`label_map`). All classes are counted together, whatever their
number: by a histogram of label, outcome and value, and by the bands of label maps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import class_order, masks
from promptseg.data.image_io import IGNORED
from promptseg.evaluation import pixel_histograms

PIXEL_COUNTS = ("tp", "fp", "fn", "tn")
BOUNDARY_COUNTS = ("boundary_intersection", "boundary_union")
COUNTS = (*PIXEL_COUNTS, *BOUNDARY_COUNTS)

_STRIP = 2**19  # pixels that are labelled at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class ImageCounts:
    """Counts of one image.

    Attributes:
        outcomes: (K, 6) int64 in the order of COUNTS, where a pixel is foreground from a probability of 0.5 on. The
            last two are intersection and union of the boundary bands of target and prediction (Boundary IoU, Cheng et
            al. 2021).
        correct: number of pixels whose label is right, background or a class.
        labelled: (2, K, 256) int64, pixels by most probable class and its value; first those whose target is another,
            then those whose target it is.
        values: (2, K, 256) int64, pixels by value of each class, whether or not it is the most probable; first those
            whose target is another, then those whose target it is.
    """

    outcomes: np.ndarray
    correct: int
    labelled: np.ndarray
    values: np.ndarray


def count(target: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None = None) -> ImageCounts:
    """Count the pixels of one image by class and outcome.

    Args:
        target: (h, w) uint8.
        probability: (classes, h, w) uint8.
        classes: number of classes.
        valid: (h, w) bool, pixels that count; None: all.

    Raises:
        UserError: the sizes differ or a label is unknown.
        TypeError: a dtype is wrong.
    """
    counted = _counted_pixels(target, probability, classes, valid)
    pixels, mask = int(np.count_nonzero(counted)), None
    if pixels < target.size:
        target, mask = target * counted, counted.view(np.uint8)
    predicted = np.empty(target.shape, np.uint8)
    labelled, foreground = np.zeros((2, classes, 256), np.int64), np.zeros((classes, 256), np.int64)
    for rows in _strips(target.shape):
        strip, planes = target[rows], probability[:, rows]
        label, best = _labels(planes)
        if mask is not None:
            best *= mask[rows]
        np.multiply(label, best >= lowest_value(0.5), out=predicted[rows])
        right = (label == strip).view(np.uint8)
        labelled += pixel_histograms.joint([right, label, best], [2, classes + 1, 256])[:, 1:]
        foreground += pixel_histograms.joint([strip, _own_values(strip, planes)], [classes + 1, 256])[1:]
    everywhere = np.stack([pixel_histograms.of_values(plane, mask) for plane in probability])
    values = np.stack([everywhere - foreground, foreground])
    (outcomes,) = at_levels(labelled, values, [lowest_value(0.5)])
    outcomes[:, len(PIXEL_COUNTS) :] = _boundary_counts(target, predicted, classes)
    correct = int(np.count_nonzero(predicted == target)) - (target.size - pixels)
    return ImageCounts(outcomes, correct, labelled, values)


def label_map(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Assign each pixel to a class.

    Args:
        probability: (K, h, w) uint8.
        threshold: probability from which on a pixel is foreground.

    Returns:
        (h, w) uint8, the most probable class, the lower one of two with equal probability, where it reaches the
        threshold; elsewhere 0.
    """
    result = np.empty(probability.shape[1:], np.uint8)
    for rows in _strips(result.shape):
        label, best = _labels(probability[:, rows])
        np.multiply(label, best >= lowest_value(threshold), out=result[rows])
    return result


def at_levels(labelled: np.ndarray, values: np.ndarray, levels: list[int]) -> np.ndarray:
    """Compute the pixel counts that other thresholds give.

    Args:
        labelled: (2, K, 256) as in `ImageCounts`.
        values: (2, K, 256) as there, of the same pixels.
        levels: stored values from which on a pixel is foreground.

    Returns:
        (levels, K, 6) int64 in the order of COUNTS; those of boundaries, which are not known, are 0.
    """
    reached = labelled[..., ::-1].cumsum(axis=-1)[..., [255 - level for level in levels]]
    fp, tp = np.moveaxis(reached, -1, 1)
    background, positive = values.sum(axis=-1)
    boundary = [np.zeros_like(tp)] * len(BOUNDARY_COUNTS)
    return np.stack([tp, fp, positive - tp, background - fp, *boundary], axis=-1)


def lowest_value(threshold: float) -> int:
    """Return the lowest stored value that reaches a threshold; 256 * threshold is exact in floating point."""
    return math.ceil(256 * threshold)


def _counted_pixels(target: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None) -> np.ndarray:
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
    if np.count_nonzero(counted) > np.count_nonzero(target <= classes):
        label = target[counted & (target > classes)].min()
        raise UserError(f"label {label} in the mask; known: 0 (background), 1..{classes}, {IGNORED} (ignored)")
    return counted if valid is None else counted & valid


def _labels(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class at each pixel, 1, 2, ..., and its value: twice (h, w) uint8."""
    label, best = class_order.best_class(probability)
    label += 1
    return label, best


def _own_values(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The value that each pixel of a class has for this class, (h, w) uint8; of the background 0."""
    result = np.zeros(target.shape, np.uint8)
    for label, values in enumerate(probability, start=1):
        of_class = target == label
        if of_class.any():
            cv2.copyTo(values, of_class.view(np.uint8), result)
    return result


def _boundary_counts(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Intersection and union of the boundary bands of each class in two label maps, (classes, 2) int64."""
    bands = [masks.boundary_band(labels) for labels in (target, predicted)]
    pairs = pixel_histograms.of_labels(bands, [classes + 1, classes + 1])
    shared = pairs.diagonal()
    return np.stack([shared, pairs.sum(axis=0) + pairs.sum(axis=1) - shared], axis=1)[1:]


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of an image, cut into strips of about _STRIP pixels."""
    rows = max(1, _STRIP // shape[1])
    return (slice(top, top + rows) for top in range(0, shape[0], rows))
