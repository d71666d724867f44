"""Paired comparison of two runs on the same images."""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import class_means, score_table
from promptseg.evaluation.interval import interval


def difference_interval(before: Path, after: Path) -> tuple[float, float] | None:
    """Compute the 95 % interval of the difference of two runs' headlines, paired by image.

    With d the difference, (1 + d) / 2 is the mean of the one run's score and of 1 - the other's: a mean of ratios of
    sums over images, as `interval` takes it, in which the terms of an image are added before they are squared.

    Args:
        before: table of scores of the run that is subtracted.
        after: table of scores of the other run.

    Returns:
        Lower and upper end in [-1, 1]; None with fewer than 5 groups.

    Raises:
        UserError: a table is missing or damaged, or the two are of different images.
    """
    first, second = score_table.read_counts(before), score_table.read_counts(after)
    if first.ids != second.ids:
        raise UserError(f"{after}: not of the same images as {before}; delete both and run `dvc repro`")
    sums, numbers = class_means.headline_terms(second.counts)
    other_sums, other_numbers = class_means.headline_terms(first.counts)
    ends = interval(
        np.concatenate([sums, other_numbers - other_sums], axis=1),
        np.concatenate([numbers, other_numbers], axis=1),
        np.unique(first.groups, return_inverse=True)[1],
    )
    return None if ends is None else (2 * ends[0] - 1, 2 * ends[1] - 1)
