"""Paired permutation test of two runs over groups.

Where the two runs are equally good, nothing changes if the predictions of both are swapped in some of the groups: each
group's sign is flipped (Fisher 1935; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3). What
is compared is the difference of the headlines (`class_means.headline_terms`). As the headline is a mean of ratios of
sums, the sums of the swapped groups are taken and the ratios computed anew, so that the test is exact for several
classes too, and needs no linearization. Groups and not images are swapped, since images of a group resemble each other.
"""

from collections.abc import Iterator

import numpy as np

from promptseg.evaluation.interval import sum_by_group

MINIMUM_GROUPS = 6  # with 5, the smallest p that can come out is 2 / 2^5 = 0.0625
ENUMERATED_GROUPS = 12  # up to here all 2^G swaps are made
DRAWS = 10_000  # of random swaps, beyond
_CHUNK = 1_000  # draws at a time, which bounds memory

Terms = tuple[np.ndarray, np.ndarray]  # sums and numbers, (images, K) each


def p_value(first: Terms, second: Terms, group: np.ndarray, draws: int = DRAWS) -> float | None:
    """Compute the two-sided p of the difference of two runs.

    Args:
        first: sums and numbers of each image and class, as `class_means.headline_terms` returns them.
        second: those of the other run, on the same images.
        group: (images,) int, number of the group of each image.
        draws: number of random swaps where there are more than 12 groups; they are the same in each call.

    Returns:
        In (0, 1]: the share of swaps whose difference is at least as large in either direction; with random swaps the
        given order counts as one of them (Phipson and Smyth 2010). None with fewer than 6 groups.
    """
    where = first[1].any(axis=1) | second[1].any(axis=1)
    classes = first[1].any(axis=0) | second[1].any(axis=0)
    group = np.unique(group[where], return_inverse=True)[1]
    groups = int(group.max(initial=-1)) + 1
    if groups < MINIMUM_GROUPS:
        return None
    (sums, numbers), (other_sums, other_numbers) = (
        tuple(sum_by_group(term[where][:, classes], group, groups) for term in terms) for terms in (first, second)
    )
    mean = np.stack([sums + other_sums, numbers + other_numbers]).sum(axis=1) / 2
    half = np.stack([other_sums - sums, other_numbers - numbers]) / 2

    def differences(signs: np.ndarray) -> np.ndarray:
        change, weight = signs @ half[0], signs @ half[1]
        return ((mean[0] + change) / (mean[1] + weight) - (mean[0] - change) / (mean[1] - weight)).mean(axis=1)

    observed = abs(differences(np.ones((1, groups)))[0]) - 1e-12  # swaps of equal groups are equal but for rounding
    if groups <= ENUMERATED_GROUPS:
        return float(np.mean(np.abs(differences(_all_signs(groups))) >= observed))
    extreme = sum(int((np.abs(differences(signs)) >= observed).sum()) for signs in _random_signs(groups, draws))
    return (extreme + 1) / (draws + 1)


def _all_signs(groups: int) -> np.ndarray:
    """All swaps but for swapping everything, which gives the same absolute difference: (2^(groups - 1), groups)."""
    bits = np.arange(2 ** (groups - 1))[:, None] >> np.arange(groups) & 1
    return 1.0 - 2.0 * bits


def _random_signs(groups: int, draws: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for start in range(0, draws, _CHUNK):
        yield 1.0 - 2.0 * rng.integers(0, 2, (min(_CHUNK, draws - start), groups), np.int8)
