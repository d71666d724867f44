"""Registry of metrics: what the summary of a run, the table of scores and the leaderboard hold.

To add a metric, write a function and a line of METRICS: a `MaskMetric` is computed from the pixel counts of one class
of one image (`pixel_metrics`), a `RunMetric` from all that is known of a run (`run_metrics`). Everything else reads the
registry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from promptseg.evaluation import class_means, pixel_metrics, point_cloud_scores, run_metrics, sweep
from promptseg.evaluation.counts import BOUNDARY_COUNTS, PIXEL_COUNTS
from promptseg.evaluation.pixel_metrics import Counts
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


@dataclass(frozen=True)
class MaskMetric:
    """A metric of one class of one image, and how it is aggregated over the images of a run that have ground truth.

    Attributes:
        compute: Counts -> values in [0, 1]; its name is the metric's column in the table of scores.
        mean: mean over images; several classes are averaged (`class_means`).
        pooled: from the counts summed over images, averaged over classes.
        counts: columns of counts that it is computed from.
        task: the task that it is for; None: all.
    """

    compute: Callable[[Counts], np.ndarray]
    mean: Key | None = None
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
        return [key for key in (self.mean, self.pooled) if key is not None]

    def summarize(self, run: "Evaluation") -> dict[str, float]:
        """Aggregate over a run."""
        counts = run.scores.counts
        summary = {}
        if self.mean:
            values = self.compute(Counts.of(counts))
            summary[self.mean.name] = class_means.mean(values, class_means.in_truth(counts))
        if self.pooled:
            total = counts.sum(axis=0)
            pooled = class_means.mean(self.compute(Counts.of(total)), class_means.in_truth(total))
            summary[self.pooled.name] = pooled
        return summary


@dataclass(frozen=True)
class RunMetric:
    """A metric of a whole run.

    Attributes:
        compute: Evaluation -> value in [0, 1], or a mean number (`prompts_per_image`, `noc_80`); None where it does not
            apply.
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


METRICS: tuple[MaskMetric | RunMetric, ...] = (
    MaskMetric(
        pixel_metrics.iou,
        mean=Key("iou_mean", "mean IoU", headline=True),
        pooled=Key("iou_pooled", "pooled IoU", headline=True),
    ),
    RunMetric(run_metrics.iou_ci_low, Key("iou_ci_low", "95 % interval from", headline=True)),
    RunMetric(run_metrics.iou_ci_high, Key("iou_ci_high", "to", headline=True)),
    RunMetric(run_metrics.iou_tuned, Key("iou_tuned", "IoU, tuned threshold", headline=True)),
    RunMetric(run_metrics.threshold, Key("threshold", "tuned threshold")),
    MaskMetric(pixel_metrics.dice, mean=Key("dice_mean", "mean Dice"), pooled=Key("dice_pooled", "pooled Dice")),
    RunMetric(run_metrics.accuracy, Key("accuracy", "accuracy", column=False)),
    MaskMetric(pixel_metrics.precision, pooled=Key("precision", "precision", column=False)),
    MaskMetric(pixel_metrics.recall, pooled=Key("recall", "recall", column=False)),
    MaskMetric(
        pixel_metrics.boundary_iou,
        mean=Key("boundary_iou", "boundary IoU", headline=True),
        counts=BOUNDARY_COUNTS,
        task=SEGMENTATION,  # points of a cloud have no neighbours on a grid
    ),
    RunMetric(run_metrics.average_precision, Key("average_precision", "average precision", column=False)),
    RunMetric(run_metrics.iou_best_single, Key("iou_best_single", "best single mask")),
    RunMetric(run_metrics.false_alarm_rate, Key("false_alarm_rate", "false alarms")),
    RunMetric(run_metrics.false_alarm_area, Key("false_alarm_area", "area of false alarms")),
    RunMetric(run_metrics.prompts_per_image, Key("prompts_per_image", "prompts an image")),
    *(RunMetric(run_metrics.clicks_to(level / 100), Key(f"noc_{level}", f"NoC@{level}")) for level in sweep.LEVELS),
    RunMetric(run_metrics.absent_phrase_area, Key("absent_phrase_area", "area for an absent phrase")),
    RunMetric(run_metrics.iou_pooled_all, Key("iou_pooled_all", "pooled IoU with empty images")),
    RunMetric(run_metrics.seed_mean, Key("seed_mean", "mean over seeds")),
    RunMetric(run_metrics.seed_std, Key("seed_std", "standard deviation over seeds")),
    RunMetric(point_cloud_scores.mean_score, Key("part_miou", "part mIoU", headline=True), PART_SEGMENTATION),
    RunMetric(
        point_cloud_scores.mean_of_categories,
        Key("part_miou_category", "part mIoU by category", column=False),
        PART_SEGMENTATION,
    ),
    RunMetric(point_cloud_scores.mean_score, Key("top1", "top-1 accuracy", headline=True), CLASSIFICATION),
)


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
        counts: (..., 6) as `counts.ImageCounts.outcomes`.
        task: of the run.

    Returns:
        By name, (...) float64 in [0, 1], never NaN.
    """
    fields = Counts.of(counts)
    return {metric.name: metric.compute(fields) for metric in mask_metrics(task)}


def headline_key(classes: int, task: str = SEGMENTATION) -> str:
    """Name of the metric by which runs are compared, the one that the field reports.

    Of images with one class the mean IoU over images; with several mIoU, pooled a class and averaged over classes. Of
    point clouds part mIoU, or top-1 accuracy where whole clouds are classified.
    """
    if task == SEGMENTATION:
        return "iou_mean" if classes == 1 else "iou_pooled"
    return {PART_SEGMENTATION: "part_miou", CLASSIFICATION: "top1"}[task]


def headline(summary: dict) -> dict[str, float]:
    """The part of a run's summary that is in metrics/<run>.json."""
    return {key.name: summary[key.name] for key in keys() if key.headline and key.name in summary}
