"""Scores of a run in several steps: IoU by number of clicks, by jitter of a box, by offset of a click."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data.records import RecordReader
from promptseg.evaluation import class_means
from promptseg.evaluation.interval import interval

DIGITS = 6  # after the decimal point
LEVELS = (80, 85, 90)  # percent of IoU, of the numbers of clicks


@dataclass(frozen=True)
class SweepScores:
    """Scores of a run by step.

    Attributes:
        by: what differs from step to step: `clicks`, `jitter` or `offset`.
        steps: numbers of clicks, or values of the key.
        counts: (images, steps, K, 3) int64, tp, fp and fn.
        groups: (images,) int, number of the group of each image.
        ious: (objects, steps) of what was clicked on, in images with ground truth; (0, steps) without clicks.
    """

    by: str
    steps: list[float]
    counts: np.ndarray
    groups: np.ndarray
    ious: np.ndarray

    def curve(self) -> list[dict[str, float | None]]:
        """Rows of step, headline metric of images, and the ends of its interval, None with fewer than 5 groups."""
        rows: list[dict[str, float | None]] = []
        for number, step in enumerate(self.steps):
            terms = class_means.headline_terms(self.counts[:, number])
            low, high = interval(*terms, self.groups) or (None, None)
            values = {"step": step, "iou": class_means.score(*terms), "iou_ci_low": low, "iou_ci_high": high}
            rows.append({key: None if value is None else round(value, DIGITS) for key, value in values.items()})
        return rows

    def number_of_clicks(self, level: float) -> float | None:
        """Mean number of clicks until the IoU of an object reaches a level (NoC, as in RITM, Sofiiuk et al. 2022).

        An object that never does counts as the number of all clicks, 20 in papers. None without clicks.
        """
        if not len(self.ious):
            return None
        reached = self.ious >= level
        return float(np.where(reached.any(axis=1), np.array(self.steps)[reached.argmax(axis=1)], self.steps[-1]).mean())

    def failures(self, level: float) -> int:
        """Number of objects whose IoU never reaches a level."""
        return int((~(self.ious >= level).any(axis=1)).sum())

    def summary(self) -> dict[str, Any]:
        """What the summary of a run holds: `by`, `steps`, `iou` of each, and of clicks `objects` and `failures`."""
        found: dict[str, Any] = {"by": self.by, "steps": self.steps, "iou": [row["iou"] for row in self.curve()]}
        if len(self.ious):
            failures = {str(level): self.failures(level / 100) for level in LEVELS}
            found |= {"objects": len(self.ious), "failures": failures}
        return found


def read(split: RecordReader, predictions: RecordReader, images: list[list[int]]) -> SweepScores | None:
    """Read the scores of the steps from the predictions of a run.

    Counts of the tiles of an image are added, so that pixels count as often as tiles share them.

    Args:
        split: records.
        predictions: of the run.
        images: for each image that is scored the indices of its records.

    Returns:
        The scores; None where the run has one step.

    Raises:
        UserError: the predictions are damaged.
    """
    about = predictions.metadata.get("sweep")
    if about is None:
        return None
    steps, classes = len(about["steps"]), len(split.metadata["classes"])
    try:
        found = [json.loads(text) for text in predictions.column("sweep")]
        counts = np.array([each["counts"] for each in found], np.int64).reshape(len(found), steps, classes, 3)
        ious = np.array([iou for each in found for iou in each["objects"]], float).reshape(-1, steps)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{predictions.path}: its column sweep is damaged; delete it and run `dvc repro`") from None
    groups = split.column("group")
    return SweepScores(
        by=about["by"],
        steps=about["steps"],
        counts=np.stack([counts[indices].sum(axis=0) for indices in images]),
        groups=np.unique([groups[indices[0]] for indices in images], return_inverse=True)[1],
        ious=ious,
    )
