"""Scores of a run, collected image by image."""

from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import metrics
from promptseg.evaluation.counts import COUNTS, count, counted_pixels, lowest_value
from promptseg.evaluation.histogram import NOTHING, THRESHOLDS, ProbabilityHistogram
from promptseg.evaluation.scoring import SEGMENTATION


class RunScores:
    """Collects the counts of images one by one; no image is held.

    Args:
        classes: names of classes 1, 2, ...
        threshold: probability from which on a pixel is foreground, in (0, 1).

    Attributes:
        histogram: of the probabilities of all images.

    Raises:
        UserError: the threshold is out of range.
    """

    def __init__(self, classes: list[str], threshold: float = 0.5):
        if not 0.0 < threshold < 1.0:
            raise UserError(f"threshold {threshold}: it should lie between 0 and 1")
        self.classes, self.threshold = list(classes), threshold
        self.histogram = ProbabilityHistogram(len(self.classes))
        self._images: dict[str, tuple[str, np.ndarray]] = {}  # id: group, counts (K, 6)
        self._by_value: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def add(
        self, id: str, group: str, target: np.ndarray, probability: np.ndarray, valid: np.ndarray | None = None
    ) -> None:
        """Count one image.

        Args:
            id: unique within the run.
            group: of the image, for intervals.
            target: (h, w) uint8.
            probability: (K, h, w) uint8.
            valid: (h, w) bool, pixels that count; None: all.

        Raises:
            UserError: the id was added before, sizes differ or a label is unknown; the message names the id.
        """
        if id in self._images:
            raise UserError(f"{id}: scored twice; ids must be unique within a split")
        classes = len(self.classes)
        try:
            counts = count(target, probability, classes, valid, self.threshold)
        except UserError as error:
            raise UserError(f"{id}: {error}") from None
        self._images[id] = group, counts
        counted, best = counted_pixels(target, probability, classes, valid), probability.max(axis=0)
        mine = np.array([counted & (probability.argmax(axis=0) == k) for k in range(classes)])
        right = np.array([mine[k] & (target == k + 1) for k in range(classes)])
        tp, claimed = (np.array([np.bincount(best[each], minlength=256) for each in part]) for part in (right, mine))
        self._by_value[id] = tp, claimed, np.array([np.sum(counted & (target == k + 1)) for k in range(classes)])
        self.histogram.add(target, probability, counted_pixels(target, probability, classes, valid))

    def include(self, other: "RunScores") -> None:
        """Add the images of other scores after those that are here."""
        self._images |= other._images
        self._by_value |= other._by_value
        self.histogram._counts += other.histogram._counts

    def headline(self, threshold: float = 0.5) -> float:
        """Mean IoU over images with the class, or with several classes mIoU over the images with ground truth."""
        level = lowest_value(threshold)
        tp, claimed, positive = (
            np.stack([part[..., level:].sum(-1) for part in parts]) if parts[0].ndim == 2 else np.stack(parts)
            for parts in zip(*(row for row in self._by_value.values() if row[2].any()), strict=True)
        )
        if len(self.classes) > 1:
            tp, claimed, positive = (part.sum(axis=0) for part in (tp, claimed, positive))
        union = claimed + positive - tp
        return float(np.mean(tp[union > 0] / union[union > 0]))

    def best_threshold(self) -> float:
        """The threshold of THRESHOLDS with the highest headline, of equal ones the nearest to 0.5."""
        return max(THRESHOLDS, key=lambda threshold: (self.headline(threshold), -abs(threshold - 0.5)))

    @property
    def counts(self) -> np.ndarray:
        """(images, K, 6) int64, without images of which no pixel counts. Raises UserError where none is left."""
        return np.stack([counts for _, counts in self._scored()])

    @property
    def groups(self) -> np.ndarray:
        """(images,) int, number of the group of each image in `counts`."""
        return np.unique([group for group, _ in self._scored()], return_inverse=True)[1]

    def rows(self, task: str = SEGMENTATION) -> list[dict]:
        """One row for each image and class, in the order of `add`: id, group, class, counts and metrics of the task."""
        used = {name for metric in metrics.mask_metrics(task) for name in metric.counts}
        rows = []
        for id, (group, counts) in self._images.items():
            values = metrics.compute_metrics(counts, task)
            for index, name in enumerate(self.classes):
                row: dict[str, Any] = {"id": id, "group": group, "class": name}
                row |= {key: int(number) for key, number in zip(COUNTS, counts[index], strict=True) if key in used}
                rows.append(row | {key: float(value[index]) for key, value in values.items()})
        return rows

    def _scored(self) -> list[tuple[str, np.ndarray]]:
        scored = [(group, counts) for group, counts in self._images.values() if counts[0, :4].any()]
        if not scored:
            raise UserError(NOTHING)
        return scored
