"""Metrics of a whole run: accuracy, intervals, tuned threshold, false alarms and single automatic masks."""

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from promptseg.evaluation import class_means, point_cloud_scores
from promptseg.evaluation.interval import interval
from promptseg.evaluation.pixel_metrics import Counts, iou
from promptseg.evaluation.scoring import SEGMENTATION

if TYPE_CHECKING:
    from promptseg.evaluation.run_summary import Evaluation


def accuracy(run: "Evaluation") -> float:
    """Share of the counted pixels, or points, whose label is right, background or a class."""
    return run.scores.correct / float(run.scores.counts[:, 0, :4].sum())


def average_precision(run: "Evaluation") -> float | None:
    """Area under the precision-recall curve of all pixels, one class against the rest, averaged over classes."""
    return run.scores.histogram.average_precision()


def iou_ci_low(run: "Evaluation") -> float | None:
    """Lower end of the 95 % interval of the headline; None with fewer than 5 groups."""
    ends = _interval(run)
    return None if ends is None else ends[0]


def iou_ci_high(run: "Evaluation") -> float | None:
    """Upper end of the 95 % interval of the headline; None with fewer than 5 groups."""
    ends = _interval(run)
    return None if ends is None else ends[1]


def iou_tuned(run: "Evaluation") -> float | None:
    """The headline at the threshold that was chosen on the validation split; None where none was."""
    return None if run.threshold is None else run.scores.headline(run.threshold)


def threshold(run: "Evaluation") -> float | None:
    """The threshold that was chosen on the validation split; None where none was."""
    return run.threshold


def iou_best_single(run: "Evaluation") -> float | None:
    """Mean over true segments of the IoU of the best single automatic mask; None where there are no such masks."""
    return None if run.best_single is None else float(np.mean(run.best_single))


def false_alarm_rate(run: "Evaluation") -> float | None:
    """Share of the pairs of image and class absent from its ground truth in which some pixel is predicted as the class.

    With one class: share of the images without ground truth in which something is marked. None where there is no such
    pair, or the ground truth had a part in the predictions.
    """
    pairs = _absent_pairs(run)
    return None if pairs is None else float(np.mean(pairs.fp > 0))


def false_alarm_area(run: "Evaluation") -> float | None:
    """Mean over the pairs of `false_alarm_rate` of the share of counted pixels that are predicted as the class."""
    pairs = _absent_pairs(run)
    return None if pairs is None else float(np.mean(pairs.fp / (pairs.fp + pairs.tn)))


def iou_pooled_all(run: "Evaluation") -> float | None:
    """Pooled IoU over all images, those without ground truth too.

    None where all have some, or where the ground truth had a part in the predictions.
    """
    if run.oracle or not len(run.scores.empty_counts):
        return None
    total = run.scores.counts.sum(axis=0) + run.scores.empty_counts.sum(axis=0)
    return class_means.mean(iou(Counts.of(total)), class_means.in_truth(total))


def prompts_per_image(run: "Evaluation") -> float | None:
    """Mean number of clicks, boxes and masks from the ground truth that prompted an image; None where none were."""
    return run.prompts_per_image


def clicks_to(level: float) -> Callable[["Evaluation"], float | None]:
    """A metric: the mean number of clicks until an object's IoU reaches a level; None without clicks."""
    return lambda run: None if run.sweep is None else run.sweep.number_of_clicks(level)


def absent_phrase_area(run: "Evaluation") -> float | None:
    """Mean share of an image that is marked for a phrase that is not there; None where it was not measured."""
    return run.absent_phrase_area


def seed_mean(run: "Evaluation") -> float | None:
    """Mean of the headline over the seeds; None where nothing is repeated."""
    return statistics.mean(score for _, score in run.seed_scores) if run.seed_scores else None


def seed_std(run: "Evaluation") -> float | None:
    """Standard deviation of the headline over the seeds (n - 1), whatever the images vary; None as `seed_mean`."""
    return statistics.stdev(score for _, score in run.seed_scores) if run.seed_scores else None


def _interval(run: "Evaluation") -> tuple[float, float] | None:
    if run.task == SEGMENTATION:
        return interval(*class_means.headline_terms(run.scores.counts), run.scores.groups)
    return point_cloud_scores.mean_interval(run)


def _absent_pairs(run: "Evaluation") -> Counts | None:
    counts = np.concatenate([run.scores.counts, run.scores.empty_counts])
    absent = counts[~class_means.in_truth(counts)]
    return None if run.oracle or not len(absent) else Counts.of(absent)
