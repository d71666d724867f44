"""Scores of a run, collected image by image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.evaluation import class_means, metrics
from promptseg.evaluation.counts import COUNTS, at_levels, count
from promptseg.evaluation.histogram import LEVELS, NOTHING, THRESHOLDS, ProbabilityHistogram
from promptseg.evaluation.pixel_metrics import Counts, iou
from promptseg.evaluation.scoring import SEGMENTATION


@dataclass(frozen=True)
class _Image:
    group: str
    counts: np.ndarray  # (K, 6)
    correct: int  # pixels whose label is right
    ious: np.ndarray  # (thresholds,) with one class, else (0,)
    has_truth: bool


class RunScores:
    """Collects the counts of images one by one; no image is held.

    Args:
        classes: names of classes 1, 2, ...

    Attributes:
        histogram: of the probabilities of the images that have ground truth.
    """

    def __init__(self, classes: list[str]):
        self.classes = list(classes)
        self.histogram = ProbabilityHistogram(len(self.classes))
        self._images: dict[str, _Image] = {}

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
        try:
            found = count(target, probability, len(self.classes), valid)
        except UserError as error:
            raise UserError(f"{id}: {error}") from None
        ious = np.empty(0)
        if len(self.classes) == 1:
            at_thresholds = at_levels(found.labelled, found.values, LEVELS)
            ious = iou(Counts.of(at_thresholds))[:, 0]
        has_truth = bool(class_means.in_truth(found.outcomes).any())
        self._images[id] = _Image(group, found.outcomes, found.correct, ious, has_truth)
        if has_truth:
            self.histogram.add(found)

    def include(self, other: "RunScores") -> None:
        """Add the images of other scores, in their order, after those that are here."""
        self._images |= other._images
        self.histogram.include(other.histogram)

    @property
    def counts(self) -> np.ndarray:
        """(images, K, 6) int64 of the images that have ground truth. Raises UserError where there is none."""
        return np.stack([image.counts for image in self._scored()])

    @property
    def empty_counts(self) -> np.ndarray:
        """(images, K, 6) int64 of the images of which pixels count, but none is of a class in the ground truth."""
        found = [i.counts for i in self._images.values() if not i.has_truth and i.counts[0, :4].any()]
        return np.stack(found) if found else np.empty((0, len(self.classes), len(COUNTS)), np.int64)

    @property
    def groups(self) -> np.ndarray:
        """(images,) int, number of the group of each image in `counts`."""
        return np.unique([image.group for image in self._scored()], return_inverse=True)[1]

    def group_of(self, id: str) -> str:
        """Return the group of an image."""
        return self._images[id].group

    @property
    def correct(self) -> int:
        """Number of pixels, of the images in `counts`, whose label is right."""
        return sum(image.correct for image in self._scored())

    def headline(self, threshold: float = 0.5) -> float:
        """Compute the headline metric of images (`metrics.headline_key`) at another threshold.

        Args:
            threshold: one of `histogram.THRESHOLDS`, from which on a pixel is of its most probable class.

        Returns:
            With one class the mean over images of the IoU, with several the mIoU of all pixels; only images that have
            ground truth have a part.

        Raises:
            UserError: no image has ground truth.
        """
        index = THRESHOLDS.index(threshold)
        if len(self.classes) == 1:
            ious = np.array([[image.ious[index]] for image in self._scored()])
            return class_means.mean(ious, np.ones(ious.shape, bool))
        counts = self.histogram.counts()[index]
        return class_means.mean(iou(Counts.of(counts)), class_means.in_truth(counts))

    def best_threshold(self) -> float:
        """Return the one of `histogram.THRESHOLDS` with the highest headline, of equal ones the nearest to 0.5."""
        return max(THRESHOLDS, key=lambda threshold: (self.headline(threshold), -abs(threshold - 0.5)))

    def rows(self, task: str = SEGMENTATION) -> list[dict]:
        """One row for each image and class, in the order of `add`: id, group, class, counts and metrics of the task.

        Metrics are None where the ground truth lacks the class, so that the mean of a column is that of the summary.
        """
        used = {name for metric in metrics.mask_metrics(task) for name in metric.counts}
        rows = []
        for id, image in self._images.items():
            values, where = metrics.compute_metrics(image.counts, task), class_means.in_truth(image.counts)
            for index, name in enumerate(self.classes):
                row: dict[str, Any] = {"id": id, "group": image.group, "class": name}
                row |= {key: int(n) for key, n in zip(COUNTS, image.counts[index], strict=True) if key in used}
                rows.append(row | {key: float(v[index]) if where[index] else None for key, v in values.items()})
        return rows

    def _scored(self) -> list[_Image]:
        scored = [image for image in self._images.values() if image.has_truth]
        if not scored:
            raise UserError(NOTHING)
        return scored
