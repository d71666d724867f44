"""Registry of metrics: what the summary of a run, the table of scores and the leaderboard hold.

To add a metric, write a function and a line of METRICS: a `MaskMetric` is computed from the pixel counts of one class
of one image, a `RunMetric` from all that is known of a run. Everything else reads the registry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from promptseg.evaluation import bootstrap, class_means, point_cloud_scores
from promptseg.evaluation.counts import BOUNDARY_COUNTS, PIXEL_COUNTS
from promptseg.evaluation.scoring import CLASSIFICATION, PART_SEGMENTATION, SEGMENTATION

if TYPE_CHECKING:
    from promptseg.evaluation.run_summary import Evaluation


@dataclass(frozen=True)
class Key:
    """A number in the summary of a run.

    Attributes:
        name: in files.
        label: in tables for people.
        headline: whether it is in metrics/<run>.json, which `dvc metrics show` prints; at most 8 are.
        column: whether it is a column of the leaderboard.
    """

    name: str
    label: str
    headline: bool = False
    column: bool = True


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


@dataclass(frozen=True)
class MaskMetric:
    """A metric of one class of one image, and how it is aggregated over a run.

    Attributes:
        compute: Counts -> values in [0, 1]; its name is the metric's column in the table of scores.
        mean: mean over images; several classes are averaged (`class_means`).
        interval: lower and upper end of the 95 % bootstrap interval of that mean, resampling groups.
        pooled: from the counts summed over images, averaged over classes.
        counts: columns of counts that it is computed from.
        task: the task that it is for; None: all.
    """

    compute: Callable[[Counts], np.ndarray]
    mean: Key | None = None
    interval: tuple[Key, Key] | None = None
    pooled: Key | None = None
    counts: tuple[str, ...] = PIXEL_COUNTS
    task: str | None = None

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.compute.__name__

    @property
    def keys(self) -> list[Key]:
        """Keys that it writes."""
        return [key for key in (self.mean, *(self.interval or ()), self.pooled) if key is not None]

    def summarize(self, run: "Evaluation") -> dict[str, float]:
        """Aggregate over a run; an interval is left out with fewer than two groups."""
        counts = run.scores.counts
        values, where = self.compute(Counts.of(counts)), class_means.present(counts)
        summary = {}
        if self.mean:
            summary[self.mean.name] = class_means.mean(values, where)
        if self.interval and (ends := bootstrap.interval(values, where, run.scores.groups, run.seed)):
            summary |= {key.name: end for key, end in zip(self.interval, ends, strict=True)}
        if self.pooled:
            total = counts.sum(axis=0)
            pooled = class_means.mean(self.compute(Counts.of(total)), class_means.present(total))
            summary[self.pooled.name] = pooled
        return summary


@dataclass(frozen=True)
class RunMetric:
    """A metric of a whole run.

    Attributes:
        compute: Evaluation -> value in [0, 1], or None where it does not apply.
        key: of the value.
        task: the task that it is for; None: all.
    """

    compute: Callable[["Evaluation"], float | None]
    key: Key
    task: str | None = None

    @property
    def keys(self) -> list[Key]:
        """Keys that it writes."""
        return [self.key]

    def summarize(self, run: "Evaluation") -> dict[str, float]:
        """Compute for a run; nothing where it does not apply."""
        value = self.compute(run)
        return {} if value is None else {self.key.name: value}


def iou(counts: Counts) -> np.ndarray:
    """Intersection over union, the Jaccard index."""
    return counts.ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def dice(counts: Counts) -> np.ndarray:
    """Dice coefficient, the F1 score."""
    return counts.ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def accuracy(counts: Counts) -> np.ndarray:
    """Share of pixels that are right, one class against the rest."""
    return counts.ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn)


def precision(counts: Counts) -> np.ndarray:
    """Share of the predicted pixels that are right."""
    return counts.ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Counts) -> np.ndarray:
    """Share of the target's pixels that are predicted."""
    return counts.ratio(counts.tp, counts.tp + counts.fn)


def boundary_iou(counts: Counts) -> np.ndarray:
    """Boundary IoU (Cheng et al. 2021): IoU of the bands along the contours."""
    return counts.ratio(counts.boundary_intersection, counts.boundary_union)


def average_precision(run: "Evaluation") -> float | None:
    """Area under the precision-recall curve of all pixels; None where the target has no foreground."""
    return run.scores.histogram.average_precision()


def iou_best_single(run: "Evaluation") -> float | None:
    """Mean IoU of the best single automatic mask of each object; None where masks were not generated automatically."""
    if run.best_single is None:
        return None
    counts = run.best_single.counts
    return class_means.mean(iou(Counts.of(counts)), class_means.present(counts))


METRICS: tuple[MaskMetric | RunMetric, ...] = (
    MaskMetric(
        iou,
        mean=Key("iou_mean", "mean IoU", headline=True),
        interval=(Key("iou_ci_low", "95 % interval from", headline=True), Key("iou_ci_high", "to", headline=True)),
        pooled=Key("iou_pooled", "pooled IoU", headline=True),
    ),
    MaskMetric(
        dice, mean=Key("dice_mean", "mean Dice", headline=True), pooled=Key("dice_pooled", "pooled Dice")
    ),
    MaskMetric(accuracy, pooled=Key("accuracy", "accuracy", column=False)),
    MaskMetric(precision, pooled=Key("precision", "precision", column=False)),
    MaskMetric(recall, pooled=Key("recall", "recall", column=False)),
    MaskMetric(
        boundary_iou,
        mean=Key("boundary_iou", "boundary IoU", headline=True),
        counts=BOUNDARY_COUNTS,
        task=SEGMENTATION,  # points of a cloud have no neighbours on a grid
    ),
    RunMetric(average_precision, Key("average_precision", "average precision", column=False)),
    RunMetric(iou_best_single, Key("iou_best_single", "best single mask")),
    RunMetric(point_cloud_scores.mean_score, Key("part_miou", "part mIoU", headline=True), PART_SEGMENTATION),
    RunMetric(
        point_cloud_scores.mean_of_categories,
        Key("part_miou_category", "part mIoU by category", column=False),
        PART_SEGMENTATION,
    ),
    RunMetric(point_cloud_scores.mean_score, Key("top1", "top-1 accuracy", headline=True), CLASSIFICATION),
)  # fmt: skip


def keys() -> list[Key]:
    """All keys that a summary can have, in order."""
    return [key for metric in METRICS for key in metric.keys]


def for_task(task: str) -> list[MaskMetric | RunMetric]:
    """The metrics that a task has."""
    return [metric for metric in METRICS if metric.task in (None, task)]


def mask_metrics(task: str = SEGMENTATION) -> list[MaskMetric]:
    """The metrics of single masks that a task has."""
    return [metric for metric in for_task(task) if isinstance(metric, MaskMetric)]


def compute_metrics(counts: np.ndarray, task: str = SEGMENTATION) -> dict[str, np.ndarray]:
    """Compute the metrics of single masks.

    Args:
        counts: (..., 6) as `counts.count` returns them.
        task: of the run.

    Returns:
        By name, (...) float64 in [0, 1], never NaN.
    """
    fields = Counts.of(counts)
    return {metric.name: metric.compute(fields) for metric in mask_metrics(task)}


def headline(summary: dict) -> dict[str, float]:
    """The part of a run's summary that is in metrics/<run>.json."""
    return {key.name: summary[key.name] for key in keys() if key.headline and key.name in summary}
