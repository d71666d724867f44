"""Paired comparison of two runs on the same images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import class_means, permutation, score_table
from promptseg.evaluation.interval import interval

EQUAL = 0.005  # IoU by which an image's scores may differ and still count as equal
CLOUDS = ("part_miou", "top1")  # headlines of point clouds
SHOWN = 4  # ids of images where a run is better, or worse, than the other


@dataclass(frozen=True)
class Difference:
    """Difference of two runs, over all classes or of one.

    Attributes:
        before: score of the first run: the headline, or its part of one class.
        after: score of the second run.
        interval: lower and upper end of the 95 % interval of after - before, in [-1, 1]; None with fewer than 5 groups.
        p: of the permutation test over groups; None with fewer than 6.
        better: number of images whose IoU is higher by more than EQUAL in the second run.
        equal: number of images whose IoU differs by no more.
        worse: number of the others.
        best: ids of the images that gained most, the most first; only of those that are better.
        worst: ids of the images that lost most; only of those that are worse.
    """

    before: float
    after: float
    interval: tuple[float, float] | None
    p: float | None
    better: int
    equal: int
    worse: int
    best: tuple[str, ...]
    worst: tuple[str, ...]

    @property
    def gain(self) -> float:
        """The difference, after - before."""
        return self.after - self.before

    @property
    def is_shown(self) -> bool:
        """Whether interval and test both show a difference at the level of 5 %."""
        if self.interval is None or self.p is None:
            return False
        return self.p < 0.05 and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same images.

    Attributes:
        overall: of the headline.
        by_class: by name of the class, of its part of the headline; empty with one class.
        by_group: difference of the headline within each group by its name, sorted.
    """

    overall: Difference
    by_class: dict[str, Difference]
    by_group: dict[str, float]

    @property
    def groups(self) -> int:
        """Number of groups of images that have ground truth."""
        return len(self.by_group)


def compare(before: Path, after: Path) -> Comparison:
    """Compare two runs, image by image and group by group.

    Only images that have ground truth are compared. The score of an image is the mean IoU over the classes that its
    ground truth has.

    Args:
        before: table of scores of the run that is subtracted.
        after: table of scores of the other run.

    Returns:
        The comparison.

    Raises:
        UserError: a table is missing or damaged, is of point clouds, whose headline is no function of the counts, has
            no ground truth, or the two are of different images or classes.
    """
    if score_table.read_summary(before).get("headline") in CLOUDS:
        raise UserError(f"{before}: scores of point clouds are not compared; plots/leaderboard.csv has them")
    first, second = score_table.read_counts(before), score_table.read_counts(after)
    if (first.ids, first.classes) != (second.ids, second.classes):
        raise UserError(
            f"{after}: not of the same images as {before}; compare runs on one dataset, or `dvc repro` both"
        )
    truth = class_means.in_truth(first.counts)
    if not truth.any():
        raise UserError(f"{before}: no image has ground truth, so that there is nothing to compare")
    terms = class_means.headline_terms(first.counts), class_means.headline_terms(second.counts)
    group = np.unique(first.groups, return_inverse=True)[1]
    ious = [counts[..., 0] / np.maximum(counts.sum(axis=-1), 1) for counts in (first.counts, second.counts)]
    change = ious[1] - ious[0]
    by_class = {
        name: _difference([(sums[:, [k]], numbers[:, [k]]) for sums, numbers in terms], group, change[:, [k]],
                          truth[:, [k]], first.ids)
        for k, name in enumerate(first.classes) if len(first.classes) > 1 and truth[:, k].any()
    }  # fmt: skip
    by_group = {
        name: _gain(*(class_means.headline_terms(counts[group == number]) for counts in (first.counts, second.counts)))
        for number, name in enumerate(sorted(set(first.groups))) if truth[group == number].any()
    }  # fmt: skip
    return Comparison(_difference(list(terms), group, change, truth, first.ids), by_class, by_group)


def _difference(
    terms: list[permutation.Terms], group: np.ndarray, change: np.ndarray, truth: np.ndarray, ids: list[str]
) -> Difference:
    """Compare two runs by the terms of their scores; change, truth: (images, K), of the IoU and where it counts.

    With d the difference, (1 + d) / 2 is the mean of the one run's score and of 1 - the other's: a mean of ratios of
    sums over images, as `interval` takes it, in which the terms of an image are added before they are squared.
    """
    (sums, numbers), (other_sums, other_numbers) = terms
    ends = interval(
        np.concatenate([other_sums, numbers - sums], axis=1), np.concatenate([other_numbers, numbers], axis=1), group
    )
    scored = np.flatnonzero(truth.any(axis=1))
    gains = np.where(truth, change, 0.0)[scored].sum(axis=1) / truth[scored].sum(axis=1)
    order = [int(place) for place in np.argsort(gains, kind="stable")]
    equal = EQUAL + 1e-9  # differences of IoUs are rounded
    worse, better = gains < -equal, gains > equal
    return Difference(
        before=class_means.score(*terms[0]),
        after=class_means.score(*terms[1]),
        interval=None if ends is None else (2 * ends[0] - 1, 2 * ends[1] - 1),
        p=permutation.p_value(terms[0], terms[1], group),
        better=int(better.sum()),
        equal=int((~better & ~worse).sum()),
        worse=int(worse.sum()),
        best=tuple(ids[scored[i]] for i in order[::-1] if better[i])[:SHOWN],
        worst=tuple(ids[scored[i]] for i in order if worse[i])[:SHOWN],
    )


def _gain(before: permutation.Terms, after: permutation.Terms) -> float:
    return class_means.score(*after) - class_means.score(*before)
