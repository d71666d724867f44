"""Scores of predicted masks: counts a picture and class once, and everything else from them.

Truth is uint8 (h, w): 0 background, i class i (1..K), 255 ignored. A prediction is uint8 (K, h, w), each value
min(255, floor(256 * p)) of a probability p. Pixels that are ignored, or False in `valid` (bool (h, w); None: all
count), are treated like what lies beyond the picture: no count sees them, and contours run along them, in truth and
prediction alike.

Nothing is ever NaN: where truth and prediction are both empty they agree, and every score is 1.0.
"""

import math
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.data import masks
from promptseg.data.image_io import IGNORED

COUNTS = ("tp", "fp", "fn", "tn", "boundary_intersection", "boundary_union")
DRAWS = 2000  # bootstrap samples behind the 95 % interval
THRESHOLDS = tuple(step / 20 for step in range(1, 20))  # of the curve: 0.05 .. 0.95
_NOTHING = "nothing to score: no picture has a pixel that counts; check the test split and its masks"


def predicted(probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The class of each pixel, uint8 (h, w), from probabilities uint8 (K, h, w).

    The most probable class, the lower of two equals, where its value reaches 256 * threshold; else 0.
    """
    best = probability.max(axis=0)
    result = np.zeros(best.shape, np.uint8)
    for label in range(len(probability), 0, -1):  # downwards: the lower of two equals is written last
        np.putmask(result, probability[label - 1] == best, label)
    np.putmask(result, best < _level(threshold), 0)
    return result


def count(
    truth: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None = None, threshold: float = 0.5
) -> np.ndarray:
    """Pixel counts of one picture, int64 (classes, 6) in the order of COUNTS.

    The last two are intersection and union of the two boundary bands (Boundary IoU, Cheng et al. 2021).
    Raises UserError when sizes differ or a label is unknown.
    """
    counted = _counted(truth, probability, classes, valid)
    chosen = np.where(counted, predicted(probability, threshold), 0)
    result = np.zeros((classes, len(COUNTS)), np.int64)
    pixels = np.count_nonzero(counted)
    for label in range(1, classes + 1):
        true, guess = counted & (truth == label), chosen == label
        tp, positive, claimed = (np.count_nonzero(mask) for mask in (true & guess, true, guess))
        inner = outer = 0
        if positive or claimed:
            band, guess_band = masks.boundary(true), masks.boundary(guess)
            inner, outer = np.count_nonzero(band & guess_band), np.count_nonzero(band | guess_band)
        result[label - 1] = tp, claimed - tp, positive - tp, pixels - positive - claimed + tp, inner, outer
    return result


def compute_metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Scores in [0, 1], each float64 (...), from counts (..., 6) in the order of COUNTS.

    Where a score would divide by zero it is 1.0 if truth and prediction are both empty, and else 0.0 (precision of
    an empty prediction, recall of an empty truth).
    """
    tp, fp, fn, tn, inner, outer = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    agreed = (tp + fp + fn) == 0

    def share(part, whole):
        return np.where(whole > 0, part / np.maximum(whole, 1), agreed)

    return {
        "iou": share(tp, tp + fp + fn),
        "dice": share(2 * tp, 2 * tp + fp + fn),
        "accuracy": share(tp + tn, tp + fp + fn + tn),
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "boundary_iou": share(inner, outer),
    }


class Scores:
    """Collects pictures one by one and keeps only their counts and one histogram a class.

    Several classes are scored one by one and then averaged. A class that a picture has neither in truth nor in
    prediction is left out of that class's mean of pictures, and one that no picture has is left out of the mean of
    classes: counted as 1.0, absent classes would swamp the others. With a single class such a picture counts as 1.0.
    A picture without any counted pixel is left out.
    """

    def __init__(self, classes: list[str], threshold: float = 0.5):
        if not 0.0 < threshold < 1.0:
            raise UserError(f"threshold {threshold}: it should lie between 0 and 1")
        self.classes, self.threshold = list(classes), threshold
        self._pictures: dict[str, tuple[str, np.ndarray]] = {}  # id: group, counts (K, 6)
        self._histogram = np.zeros((2, len(self.classes), 256), np.int64)  # background and foreground, class, value

    def add(
        self, id: str, group: str, truth: np.ndarray, probability: np.ndarray, valid: np.ndarray | None = None
    ) -> None:
        """Count one picture. Raises UserError, naming the id, when it came before, sizes differ or a label is unknown."""
        if id in self._pictures:
            raise UserError(f"{id}: scored twice; ids must be unique within a split")
        try:
            self._pictures[id] = group, count(truth, probability, len(self.classes), valid, self.threshold)
        except UserError as problem:
            raise UserError(f"{id}: {problem}") from None
        counted = _counted(truth, probability, len(self.classes), valid)
        for index, values in enumerate(probability):
            foreground = np.bincount(values[counted & (truth == index + 1)], minlength=256)
            self._histogram[1, index] += foreground
            self._histogram[0, index] += np.bincount(values[counted], minlength=256) - foreground

    def rows(self) -> list[dict]:
        """One row a picture and class, in the order of `add`: id, group, class, COUNTS and the scores of `compute_metrics`."""
        rows = []
        for id, (group, counts) in self._pictures.items():
            scores = compute_metrics(counts)
            for index, name in enumerate(self.classes):
                row = {"id": id, "group": group, "class": name}
                row |= dict(zip(COUNTS, counts[index].tolist(), strict=True))
                rows.append(row | {key: float(values[index]) for key, values in scores.items()})
        return rows

    def summary(self, seed: int) -> dict[str, float | int]:
        """The scores of all pictures, as flat keys for a metrics file; floats are rounded to 6 digits.

        Means of pictures: iou_mean, dice_mean, boundary_iou. From all pixels pooled: iou_pooled, dice_pooled, accuracy,
        precision, recall, average_precision (left out where the truth has no foreground). iou_low and iou_high are the
        95 % percentile bootstrap interval of iou_mean, resampling groups (Efron 1979), left out with less than two
        groups. pictures and groups say how many were scored. With several classes accuracy too is the mean over classes
        of one against the rest, not the share of pixels labelled right. Raises UserError when no pixel was counted.
        """
        kept = [(group, counts) for group, counts in self._pictures.values() if counts[0, :4].any()]
        if not kept:
            raise UserError(_NOTHING)
        counts = np.stack([counts for _, counts in kept])  # (pictures, K, 6)
        names, group = np.unique([group for group, _ in kept], return_inverse=True)
        present = self._present(counts)
        scores = {key: _mean(values, present) for key, values in compute_metrics(counts).items()}
        total = counts.sum(axis=0)
        pooled = {key: _mean(values, self._present(total)) for key, values in compute_metrics(total).items()}
        result = {"iou_mean": scores["iou"], "iou_pooled": pooled["iou"], "dice_mean": scores["dice"]}
        result |= {"dice_pooled": pooled["dice"], "boundary_iou": scores["boundary_iou"]}
        result |= {key: pooled[key] for key in ("accuracy", "precision", "recall")}
        if self._histogram[1].any():
            result["average_precision"] = self._average_precision()
        interval = _interval(compute_metrics(counts)["iou"], present, group, seed)
        if interval is not None:
            result["iou_low"], result["iou_high"] = interval
        result = {key: round(float(value), 6) for key, value in result.items()}
        return result | {"pictures": len(kept), "groups": len(names)}

    def curve(self) -> list[dict[str, float]]:
        """Pooled iou, precision and recall at each of THRESHOLDS, one class against the rest, then the mean of classes.

        Raises UserError when no pixel was counted.
        """
        if not self._histogram.any():
            raise UserError(_NOTHING)
        rows = []
        for threshold in THRESHOLDS:
            level = _level(threshold)
            tn, fn = self._histogram[..., :level].sum(axis=-1)
            fp, tp = self._histogram[..., level:].sum(axis=-1)
            nothing = np.zeros_like(tp)  # bands need the picture itself
            counts = np.stack([tp, fp, fn, tn, nothing, nothing], axis=-1)
            scores, found = compute_metrics(counts), self._present(counts)
            means = {key: round(float(_mean(scores[key], found)), 6) for key in ("iou", "precision", "recall")}
            rows.append({"threshold": threshold} | means)
        return rows

    def _average_precision(self) -> float:
        """Sum of precision times gain in recall over the 256 values, exact and without interpolation.

        The mean over the classes that the truth has; the definition of scikit-learn's average_precision_score.
        """
        background, foreground = self._histogram[..., ::-1]  # (K, 256), from the surest value down
        tp, fp = foreground.cumsum(axis=-1), background.cumsum(axis=-1)
        areas = (foreground * (tp / np.maximum(tp + fp, 1))).sum(axis=-1)
        total = tp[:, -1]
        return float(np.mean(areas[total > 0] / total[total > 0]))

    def _present(self, counts: np.ndarray) -> np.ndarray:
        """Where a class takes part in a mean: bool (...) from counts (..., 6)."""
        relevant = 4 if len(self.classes) == 1 else 3  # with several classes, true negatives alone do not count
        return counts[..., :relevant].any(axis=-1)


def write_table(rows: list[dict], path: Path) -> None:
    """Write `Scores.rows` as Parquet with page checksums; the same rows give the same bytes."""
    import pyarrow  # only the stage that writes should wait for it
    import pyarrow.parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    if not rows:
        raise UserError(f"{path}: no scores to write; check that the test split has pictures")
    schema = pyarrow.schema([(name, kinds[type(value)]) for name, value in rows[0].items()])
    table = pyarrow.Table.from_pylist(rows, schema)
    with replacing(path) as aside:
        pyarrow.parquet.write_table(table, aside, write_page_checksum=True)


def _level(threshold: float) -> int:
    """The lowest stored value that reaches the threshold; 256 * threshold is exact in floating point."""
    return math.ceil(256 * threshold)


def _counted(truth: np.ndarray, probability: np.ndarray, classes: int, valid: np.ndarray | None) -> np.ndarray:
    """Which pixels count, bool (h, w). Raises UserError as `count` does, TypeError for a wrong dtype."""
    if truth.dtype != np.uint8 or probability.dtype != np.uint8 or (valid is not None and valid.dtype != bool):
        raise TypeError("truth and probability are uint8, valid is bool")
    if truth.ndim != 2 or truth.size == 0:
        raise UserError(f"the mask should be (h, w), got {truth.shape}")
    wanted = (classes, *truth.shape)
    if probability.shape != wanted:
        raise UserError(f"the prediction should be {wanted} by classes and mask, got {probability.shape}; predict again")
    if valid is not None and valid.shape != truth.shape:
        raise UserError(f"the valid pixels should be {truth.shape} like the mask, got {valid.shape}")
    counted = truth != IGNORED
    unknown = counted & (truth > classes)
    if unknown.any():
        label = truth[unknown].min()
        raise UserError(f"label {label} in the mask; known: 0 (background), 1..{classes}, {IGNORED} (ignored)")
    return counted if valid is None else counted & valid


def _mean(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Mean over the pictures that have a class, then over classes: from (pictures, K) or (K,), to a scalar."""
    values, present = np.atleast_2d(values), np.atleast_2d(present)
    return _mean_of_sums(np.where(present, values, 0.0).sum(axis=0), present.sum(axis=0))


def _mean_of_sums(sums: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Mean over classes (last axis) of sums / numbers, without the classes of number 0; 1.0 when none is left."""
    shares = np.where(numbers > 0, sums / np.maximum(numbers, 1), 0.0).sum(axis=-1)
    classes = (numbers > 0).sum(axis=-1)
    return np.where(classes > 0, shares / np.maximum(classes, 1), 1.0)


def _interval(values: np.ndarray, present: np.ndarray, group: np.ndarray, seed: int) -> np.ndarray | None:
    """The 2.5 and 97.5 % quantiles of `_mean` when whole groups are drawn with replacement; None with less than two.

    values and present are (pictures, K), group is the number of each picture's group (pictures,).
    Groups in which no class is present have no say in the mean, and so are not drawn either.
    """
    sums, numbers = np.zeros((2, group.max() + 1, values.shape[1]))
    np.add.at(sums, group, np.where(present, values, 0.0))
    np.add.at(numbers, group, present)
    table = np.concatenate([sums, numbers], axis=1)[numbers.any(axis=1)]
    groups = len(table)
    if groups < 2:
        return None
    generator = np.random.default_rng(seed)
    # How often each group is drawn, times its sums. A draw at a time: all at once is slower and wants 2000 x groups.
    drawn = (np.bincount(generator.integers(groups, size=groups), minlength=groups) for _ in range(DRAWS))
    sums, numbers = np.split(np.stack([times @ table for times in drawn]), 2, axis=1)
    return np.quantile(_mean_of_sums(sums, numbers), [0.025, 0.975])
