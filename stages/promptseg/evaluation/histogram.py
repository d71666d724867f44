"""Histogram of predicted probabilities, from which everything that depends on a threshold is computed."""

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import class_means, pixel_metrics
from promptseg.evaluation.counts import ImageCounts, at_levels, lowest_value

THRESHOLDS = tuple(step / 20 for step in range(1, 20))  # of the curve: 0.05 .. 0.95
LEVELS = [lowest_value(threshold) for threshold in THRESHOLDS]
CURVES = (pixel_metrics.iou, pixel_metrics.precision, pixel_metrics.recall)
NOTHING = "nothing to score: no pixel that counts is of a class; check the split and its masks"


class ProbabilityHistogram:
    """Number of background and foreground pixels by class and stored probability, pooled over images.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int):
        self._labelled, self._values = np.zeros((2, 2, classes, 256), np.int64)  # as in `ImageCounts`

    def add(self, image: ImageCounts) -> None:
        """Add the counts of an image."""
        self._labelled += image.labelled
        self._values += image.values

    def include(self, other: "ProbabilityHistogram") -> None:
        """Add the images of another histogram."""
        self._labelled += other._labelled
        self._values += other._values

    def counts(self) -> np.ndarray:
        """Compute the pooled counts at each of THRESHOLDS, (thresholds, K, 6) int64 as `counts.at_levels` has them.

        Raises:
            UserError: no pixel was counted.
        """
        if not self._values.any():
            raise UserError(NOTHING)
        return at_levels(self._labelled, self._values, LEVELS)

    def curve(self) -> list[dict[str, float]]:
        """Compute pooled IoU, precision and recall at each of THRESHOLDS.

        Each pixel is of its most probable class, as in the scores, where its probability reaches the threshold; the
        metrics are averaged over classes.

        Returns:
            Rows with `threshold` and the metrics, rounded to 6 digits.

        Raises:
            UserError: no pixel was counted.
        """
        rows = []
        for threshold, counts in zip(THRESHOLDS, self.counts(), strict=True):
            where, fields = class_means.in_truth(counts), pixel_metrics.Counts.of(counts)
            values = {metric.__name__: class_means.mean(metric(fields), where) for metric in CURVES}
            rows.append({"threshold": threshold} | {name: round(value, 6) for name, value in values.items()})
        return rows

    def average_precision(self) -> float | None:
        """Sum precision times gain in recall over the 256 values, exact and without interpolation.

        The definition of scikit-learn's average_precision_score, with each class against the rest.

        Returns:
            The mean over the classes that the target has; None where it has no foreground.
        """
        if not self._values[1].any():
            return None
        background, foreground = self._values[..., ::-1]  # (K, 256), from the highest probability down
        tp, fp = foreground.cumsum(axis=-1), background.cumsum(axis=-1)
        areas = (foreground * (tp / np.maximum(tp + fp, 1))).sum(axis=-1)
        total = tp[:, -1]
        return float(np.mean(areas[total > 0] / total[total > 0]))
