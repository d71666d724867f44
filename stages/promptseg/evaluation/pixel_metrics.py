"""Metrics of one class of one image, or of pooled images, computed from pixel counts."""

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Pixel counts as float64 arrays of one shape."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray
    boundary_intersection: np.ndarray
    boundary_union: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray) -> "Counts":
        """Take the counts from the last axis of an array (..., 6), as `counts.count` returns them."""
        return cls(*np.moveaxis(np.asarray(counts, np.float64), -1, 0))

    def ratio(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Divide; where the denominator is 0, the result is 1.0 if target and prediction are both empty, else 0.0."""
        agreement = (self.tp + self.fp + self.fn) == 0
        return np.where(denominator > 0, numerator / np.maximum(denominator, 1), agreement)


def iou(counts: Counts) -> np.ndarray:
    """Intersection over union, the Jaccard index."""
    return counts.ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def dice(counts: Counts) -> np.ndarray:
    """Dice coefficient, the F1 score."""
    return counts.ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def precision(counts: Counts) -> np.ndarray:
    """Share of the predicted pixels that are right."""
    return counts.ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Counts) -> np.ndarray:
    """Share of the target's pixels that are predicted."""
    return counts.ratio(counts.tp, counts.tp + counts.fn)


def boundary_iou(counts: Counts) -> np.ndarray:
    """Boundary IoU (Cheng et al. 2021): IoU of the bands along the contours."""
    return counts.ratio(counts.boundary_intersection, counts.boundary_union)
