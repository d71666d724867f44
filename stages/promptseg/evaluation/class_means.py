"""Means over images and classes, with one rule for absent classes.

Several classes are scored one by one and then averaged. A class that an image has neither in target nor in prediction
is left out of the mean of that class over images, and a class that no image has is left out of the mean over classes:
counted as 1.0, absent classes would dominate. With a single class such an image counts as 1.0.
"""

import numpy as np


def present(counts: np.ndarray) -> np.ndarray:
    """Return where a class takes part in a mean.

    Args:
        counts: (..., K, 6), as `counts.COUNTS`.

    Returns:
        (..., K) bool.
    """
    relevant = 4 if counts.shape[-2] == 1 else 3  # with several classes, true negatives alone do not count
    return np.any(counts[..., :relevant], axis=-1)


def mean(values: np.ndarray, where: np.ndarray) -> float:
    """Average over the images that have a class, then over classes.

    Args:
        values: (images, K), or (K,) where images are pooled.
        where: bool of the same shape, from `present`.

    Returns:
        The mean; 1.0 where no class is present.
    """
    values, where = np.atleast_2d(values), np.atleast_2d(where)
    return float(mean_of_sums(np.where(where, values, 0.0).sum(axis=0), where.sum(axis=0)))


def mean_of_sums(sums: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Average sums / numbers over classes.

    Args:
        sums: (..., K) sum of a metric over images.
        numbers: (..., K) of images in each sum; classes with 0 are left out.

    Returns:
        (...) float64; 1.0 where no class is left.
    """
    quotients = np.where(numbers > 0, sums / np.maximum(numbers, 1), 0.0).sum(axis=-1)
    classes = (numbers > 0).sum(axis=-1)
    return np.where(classes > 0, quotients / np.maximum(classes, 1), 1.0)
