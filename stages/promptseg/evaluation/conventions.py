"""Metrics as papers and their published code compute them, to compare with the figures that they report.

Our own metrics are in `metrics`; these differ from them in what they add, pool, leave out or resize. To add one, write
a function and a line of CONVENTIONS.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from promptseg.data import class_order
from promptseg.data.image_io import IGNORED
from promptseg.evaluation.scored_images import ScoredImage

CLIPSEG_SIDE = 352  # pixels, of the masks that CLIPSeg's evaluation compares
CLIPSEG_THRESHOLDS = np.linspace(0, 1, 51)[1:-1]


class Outcomes(NamedTuple):
    """Pixels of one class of one image, or sums of them: true and false positives, false negatives."""

    tp: int
    fp: int
    fn: int


Convention = Callable[[Iterable[ScoredImage], float], float]


def clipseg_miou(images: Iterable[ScoredImage], threshold: float) -> float:
    """IoU with 1 added to the denominator, averaged over pairs of image and phrase (CLIPSeg's metrics.py).

    Args:
        images: of one class each, the phrase.
        threshold: probability above which a pixel is foreground.
    """
    return float(np.mean([_smoothed_iou(each) for each in _at_clipseg_side(images, threshold)]))


def clipseg_fg_iou(images: Iterable[ScoredImage], threshold: float) -> float:
    """IoU of the pixels of all images, with 1 added to the denominator (CLIPSeg's metrics.py).

    Args:
        images: of one class each, the phrase.
        threshold: probability above which a pixel is foreground.
    """
    return _smoothed_iou(Outcomes(*map(sum, zip(*_at_clipseg_side(images, threshold), strict=True))))


def clipseg_ap(images: Iterable[ScoredImage], threshold: float) -> float:
    """Area under the precision-recall curve of all pixels at 49 thresholds, by Simpson's rule (CLIPSeg's metrics.py).

    Precision and recall have 1 added to their denominators. Where predictions are never as sure as the higher
    thresholds ask, the curve ends before recall 0, so that this is no average precision in the usual sense.

    Args:
        images: of one class each, the phrase.
        threshold: has no part in it.
    """
    from scipy.integrate import simpson

    totals = np.zeros((len(CLIPSEG_THRESHOLDS), 3))
    for image in images:
        for probability, target, valid in _classes(image, CLIPSEG_SIDE):
            for total, each in zip(totals, CLIPSEG_THRESHOLDS, strict=True):
                total += np.array(_count(probability, target, valid, each))
    tp, fp, fn = totals[totals[:, :2].sum(axis=1) > 0].T
    curve = sorted(set(zip(tp / (1 + tp + fn), tp / (1 + tp + fp), strict=True)))
    recall, precision = zip(*curve, strict=True) if curve else ((0.0, 0.0), (0.0, 0.0))
    return float(simpson(precision, x=recall)) if len(recall) > 1 else 0.0


def mmseg_miou(images: Iterable[ScoredImage], threshold: float) -> float:
    """Mean IoU over classes of the pixels of all images, as mmsegmentation and Cityscapes' own evaluation have it.

    Each pixel is of the class of the highest probability; a class that is in no ground truth and no prediction is left
    out. Pixels of the ground truth that are ignored, or of no class, have no part, as in Cityscapes, where no class is
    "background".

    Args:
        images: of any number of classes.
        threshold: has no part in it.
    """
    totals = np.zeros(3)  # grows to (3, classes)
    for image in images:
        count = len(image.probability)
        best = class_order.best_class(image.probability)[0] + 1
        counted = (image.target != IGNORED) & (image.target > 0)
        pairs = np.bincount(image.target[counted].astype(int) * (count + 1) + best[counted], minlength=(count + 1) ** 2)
        confusion = pairs[: (count + 1) ** 2].reshape(count + 1, count + 1)[1:, 1:]
        tp = np.diag(confusion)
        totals = totals.reshape(3, -1) + np.stack([tp, confusion.sum(axis=0) - tp, confusion.sum(axis=1) - tp])
    unions = totals.sum(axis=0)
    return float(np.mean(totals[0, unions > 0] / unions[unions > 0]))


def nnunet_dice(images: Iterable[ScoredImage], threshold: float) -> float:
    """Dice of each image and class, averaged over images and then over classes (nnU-Net's evaluation).

    An image has no part in the mean of a class that is neither in its ground truth nor in its prediction.

    Args:
        images: of any number of classes.
        threshold: probability from which on a pixel is foreground; of several classes the highest is taken.
    """
    values: dict[int, list[float]] = {}
    for image in images:
        best = class_order.best_class(image.probability)[0]
        for number, (probability, target, valid) in enumerate(_classes(image)):
            tp, fp, fn = _count(np.where(best == number, probability, 0), target, valid, threshold)
            if tp + fp + fn:
                values.setdefault(number, []).append(2 * tp / (2 * tp + fp + fn))
    return float(np.mean([np.mean(of_class) for of_class in values.values()]))


CONVENTIONS: dict[str, Convention] = {
    function.__name__: function for function in (clipseg_miou, clipseg_fg_iou, clipseg_ap, mmseg_miou, nnunet_dice)
}


def _at_clipseg_side(images: Iterable[ScoredImage], threshold: float) -> Iterator[Outcomes]:
    for image in images:
        for probability, target, valid in _classes(image, CLIPSEG_SIDE):
            yield _count(probability, target, valid, threshold)


def _classes(image: ScoredImage, side: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each class the probability (h, w) in [0, 1], the ground truth, and where it counts, (h, w) bool each.

    With a side both are resized to a square, masks by nearest neighbor as torch does it.
    """
    target = image.target
    if side is not None:
        rows, columns = (np.arange(side) * length // side for length in target.shape)
        target = target[np.ix_(rows, columns)]
    for number, stored in enumerate(image.probability, 1):
        probability = (stored.astype(np.float32) + 0.5) / 256  # stored as floor(256 p): the middle of what it may be
        if side is not None:
            probability = cv2.resize(probability, (side, side), interpolation=cv2.INTER_LINEAR)
        yield probability, target == number, target != IGNORED


def _count(probability: np.ndarray, target: np.ndarray, valid: np.ndarray, threshold: float) -> Outcomes:
    predicted = probability > threshold
    pairs = (predicted & target, predicted & ~target, ~predicted & target)
    return Outcomes(*(int(np.count_nonzero(each & valid)) for each in pairs))


def _smoothed_iou(outcomes: Outcomes) -> float:
    return outcomes.tp / (1 + sum(outcomes))
