"""Scores of a run, collected image by image."""

from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import metrics
from promptseg.evaluation.counts import COUNTS, count, counted_pixels
from promptseg.evaluation.histogram import NOTHING, ProbabilityHistogram
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
        self.histogram.add(target, probability, counted_pixels(target, probability, classes, valid))

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
