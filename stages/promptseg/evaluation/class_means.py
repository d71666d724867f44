"""Means over images and classes, with one rule for absent classes.

Several classes are scored one by one and then averaged. A class counts where the ground truth has it: in an image, for
means over images (which are taken class by class and then over classes) and for the score of an image; pooled over
images, in any of them. Counted as 1.0 elsewhere, absent classes would dominate; counted as 0.0, a single stray pixel
would halve the score of a right image. mmsegmentation's mIoU also counts, as 0.0, a class that no image has and that is
predicted somewhere; where every class is in some image, as in the official splits, the two are equal.
Images without any class in the ground truth have no such scores; what is marked in them is a false alarm (`metrics`).
"""

import numpy as np


def in_truth(counts: np.ndarray) -> np.ndarray:
    """Return where the ground truth has a class: (..., K) bool of counts (..., K, 6), as `counts.COUNTS`."""
    return (counts[..., 0] + counts[..., 2]) > 0


def headline_terms(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute what the headline of images is made of (`metrics.headline_key`).

    It is the mean over classes of sum(sums) / sum(numbers).

    Args:
        counts: (images, K, 3 or more), of which the first three are tp, fp and fn.

    Returns:
        sums and numbers, (images, K) float64 each. With one class the IoU of each image and 1, with several tp and the
        union of each; 0 for images without any class in the ground truth, and for classes that no image has.
    """
    tp, union, where = counts[..., 0].astype(float), counts[..., :3].sum(axis=-1).astype(float), in_truth(counts)
    if counts.shape[1] == 1:
        return np.where(where, tp / np.maximum(union, 1), 0.0), where.astype(float)
    used = where.any(axis=1, keepdims=True) & where.any(axis=0)
    return np.where(used, tp, 0.0), np.where(used, union, 0.0)


def score(sums: np.ndarray, numbers: np.ndarray) -> float:
    """Compute the mean over classes of sum(sums) / sum(numbers), of the classes that count; of `headline_terms`."""
    sums, numbers = sums.sum(axis=0), numbers.sum(axis=0)
    return float((sums[numbers > 0] / numbers[numbers > 0]).mean())


def mean(values: np.ndarray, where: np.ndarray) -> float:
    """Average over the images in which a class counts, then over the classes that count in any.

    Args:
        values: (images, K), or (K,) where images are pooled.
        where: bool of the same shape, where a class counts; at least one does.

    Returns:
        The mean.
    """
    values, where = np.atleast_2d(values), np.atleast_2d(where)
    numbers = where.sum(axis=0)
    sums = np.where(where, values, 0.0).sum(axis=0)
    return float((sums[numbers > 0] / numbers[numbers > 0]).mean())
