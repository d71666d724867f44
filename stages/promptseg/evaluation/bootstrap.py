"""Bootstrap intervals over groups (stacks, sequences, patients), whose images resemble each other."""

import numpy as np

from promptseg.evaluation.class_means import mean_of_sums

RESAMPLES = 2000
QUANTILES = (0.025, 0.975)


def interval(values: np.ndarray, where: np.ndarray, group: np.ndarray, seed: int) -> tuple[float, float] | None:
    """Compute the 95 % percentile bootstrap interval of `class_means.mean`, resampling whole groups (Efron 1979).

    Args:
        values: (images, K) metric of each image and class.
        where: (images, K) bool, classes that take part (`class_means.present`).
        group: (images,) int, number of the group of each image.
        seed: of the resampling.

    Returns:
        Lower and upper end, or None with fewer than two groups. Groups in which no class is present have no part in the
        mean, and are not resampled either.
    """
    sums, numbers = np.zeros((2, group.max() + 1, values.shape[1]))
    np.add.at(sums, group, np.where(where, values, 0.0))
    np.add.at(numbers, group, where)
    table = np.concatenate([sums, numbers], axis=1)[numbers.any(axis=1)]
    groups = len(table)
    if groups < 2:
        return None
    rng = np.random.default_rng(seed)
    # One resample at a time: all at once is slower and takes memory for 2000 x groups.
    frequencies = (np.bincount(rng.integers(groups, size=groups), minlength=groups) for _ in range(RESAMPLES))
    sums, numbers = np.split(np.stack([frequency @ table for frequency in frequencies]), 2, axis=1)
    low, high = np.quantile(mean_of_sums(sums, numbers), QUANTILES)
    return float(low), float(high)
