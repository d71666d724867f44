"""Paired comparison of two runs on the same images."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet

from promptseg.core.errors import UserError
from promptseg.evaluation.interval import interval


class _ImageCounts(NamedTuple):
    """Counts of the images of a run.

    Attributes:
        ids: (images,) of the images, in the order of the table.
        groups: (images,) group of each image.
        counts: (images, K, 3) int64: tp, fp and fn of each class.
    """

    ids: list[str]
    groups: list[str]
    counts: np.ndarray


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
    first, second = _read_counts(before), _read_counts(after)
    if first.ids != second.ids:
        raise UserError(f"{after}: not of the same images as {before}; delete both and run `dvc repro`")
    (sums, numbers), (other_sums, other_numbers) = _terms(second.counts), _terms(first.counts)
    ends = interval(
        np.concatenate([sums, other_numbers - other_sums], axis=1),
        np.concatenate([numbers, other_numbers], axis=1),
        np.unique(first.groups, return_inverse=True)[1],
    )
    return None if ends is None else (2 * ends[0] - 1, 2 * ends[1] - 1)


def _terms(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and numbers of which the headline is the mean of ratios (`metrics.headline_key`), (images, K) each.

    counts: (images, K, 3) of tp, fp, fn.
    """
    tp, union = counts[..., 0].astype(float), counts.sum(axis=-1).astype(float)
    in_truth = (counts[..., 0] + counts[..., 2]) > 0
    if counts.shape[1] == 1:
        return np.where(in_truth, tp / np.maximum(union, 1), 0.0), in_truth.astype(float)
    used = in_truth.any(axis=1)[:, None] & in_truth.any(axis=0)
    return np.where(used, tp, 0.0), np.where(used, union, 0.0)


def _read_counts(path: Path) -> _ImageCounts:
    """Read the counts of each image and class from a table of scores.

    Raises:
        UserError: the file is missing, damaged or not a table of scores.
    """
    columns = ["id", "group", "class", "tp", "fp", "fn"]
    try:
        table = pyarrow.parquet.read_table(path, columns=columns).to_pydict()
        classes = len(dict.fromkeys(table["class"]))
        counts = np.stack([np.array(table[name], np.int64).reshape(-1, classes) for name in columns[3:]], axis=-1)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (pyarrow.ArrowException, OSError, KeyError, ValueError):
        raise UserError(f"{path}: damaged, or not a table of scores; delete it and run `dvc repro`") from None
    return _ImageCounts(table["id"][::classes], table["group"][::classes], counts)
