"""Histogram of predicted probabilities, from which everything that depends on a threshold is computed."""

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import class_means, metrics
from promptseg.evaluation.counts import BOUNDARY_COUNTS, lowest_value

THRESHOLDS = tuple(step / 20 for step in range(1, 20))  # of the curve: 0.05 .. 0.95
CURVES = (metrics.iou, metrics.precision, metrics.recall)
NOTHING = "nothing to score: all pixels are ignored; check the test split and its masks"


class ProbabilityHistogram:
    """Number of background and foreground pixels by class and stored probability."""

    def __init__(self, classes: int):
        self._counts = np.zeros((2, classes, 256), np.int64)  # background and foreground, class, value

    def add(self, target: np.ndarray, probability: np.ndarray, counted: np.ndarray) -> None:
        """Add an image.

        Args:
            target: (h, w) uint8.
            probability: (K, h, w) uint8.
            counted: (h, w) bool, pixels that count.
        """
        for index, values in enumerate(probability):
            foreground = np.bincount(values[counted & (target == index + 1)], minlength=256)
            self._counts[1, index] += foreground
            self._counts[0, index] += np.bincount(values[counted], minlength=256) - foreground

    def curve(self) -> list[dict[str, float]]:
        """Compute pooled IoU, precision and recall at each of THRESHOLDS.

        Each class is scored against the rest; the metrics are averaged over classes.

        Returns:
            Rows with `threshold` and the metrics, rounded to 6 digits.

        Raises:
            UserError: no pixel was counted.
        """
        if not self._counts.any():
            raise UserError(NOTHING)
        rows = []
        for threshold in THRESHOLDS:
            level = lowest_value(threshold)
            tn, fn = self._counts[..., :level].sum(axis=-1)
            fp, tp = self._counts[..., level:].sum(axis=-1)
            boundary = [np.zeros_like(tp)] * len(BOUNDARY_COUNTS)  # not known from a histogram
            counts = np.stack([tp, fp, fn, tn, *boundary], axis=-1)
            where = class_means.present(counts)
            values = {metric.__name__: metric(metrics.Counts.of(counts)) for metric in CURVES}
            rows.append(
                {"threshold": threshold}
                | {name: round(class_means.mean(value, where), 6) for name, value in values.items()}
            )
        return rows

    def average_precision(self) -> float | None:
        """Sum precision times gain in recall over the 256 values, exact and without interpolation.

        The definition of scikit-learn's average_precision_score.

        Returns:
            The mean over the classes that the target has; None where it has no foreground.
        """
        if not self._counts[1].any():
            return None
        background, foreground = self._counts[..., ::-1]  # (K, 256), from the highest probability down
        tp, fp = foreground.cumsum(axis=-1), background.cumsum(axis=-1)
        areas = (foreground * (tp / np.maximum(tp + fp, 1))).sum(axis=-1)
        total = tp[:, -1]
        return float(np.mean(areas[total > 0] / total[total > 0]))
