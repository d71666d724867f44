"""Matching of automatic masks, which have no classes, with the ground truth. Scores of the result are oracle scores.

Masks of SAM are often finer than an annotation (windows of a building, lines on a road), so they are matched in two
ways:
- union: a mask is assigned to the class in which more than half of its pixels lie, and the masks of a class are united;
- best single: each object, a connected component of a class, is assigned the one mask of the highest IoU with it.
Where masks overlap, a pixel belongs to the smallest. Ignored pixels are not counted.
"""

from dataclasses import dataclass

import numpy as np

from promptseg.data import masks, rle
from promptseg.data.image_io import IGNORED

INSIDE = 0.5  # a mask is assigned to a class that has more than this share of its pixels


@dataclass(frozen=True)
class Match:
    """Automatic masks as predictions for classes.

    Attributes:
        union: (K, h, w) uint8, 255 where the united masks of a class are, elsewhere 0.
        best_single: (K, h, w) uint8, the same for the best single masks.
        mask_numbers: (h, w) int32, number (1, 2, ...) of the smallest mask at each pixel, 0 where there is none.
    """

    union: np.ndarray
    best_single: np.ndarray
    mask_numbers: np.ndarray


def match(target: np.ndarray, segmentations: list[dict], classes: int) -> Match:
    """Match automatic masks with the ground truth.

    Args:
        target: (h, w) uint8, 0 background, i class i, 255 ignored.
        segmentations: of each mask (`rle`), of the target's size.
        classes: number of classes.

    Returns:
        The matched masks.

    Raises:
        UserError: the run lengths of a mask are damaged.
    """
    objects, class_of = _objects(target, classes)
    sizes = np.bincount(objects.ravel(), minlength=len(class_of))
    counted = target != IGNORED
    best_iou = np.zeros(len(class_of))  # of each object
    best_mask = np.full(len(class_of), -1)
    assigned = np.zeros(len(segmentations), np.uint8)  # class of each mask, 0 for none
    areas = np.zeros(len(segmentations), np.int64)
    for number, segmentation in enumerate(segmentations):
        mask = rle.decode(segmentation)
        areas[number] = np.count_nonzero(mask)
        mask &= counted
        area = np.count_nonzero(mask)
        intersection = np.bincount(objects[mask], minlength=len(class_of))
        by_class = np.bincount(class_of, intersection, minlength=classes + 1)
        by_class[0] = 0
        if by_class.max() > INSIDE * area:
            assigned[number] = by_class.argmax()
        iou = intersection / np.maximum(sizes + area - intersection, 1)
        better = (iou > best_iou) & (class_of > 0)
        best_iou[better], best_mask[better] = iou[better], number
    # A mask that is the best for objects of several classes goes to the class of the object that it fits best.
    class_of_best: dict[int, int] = {}
    matched = np.flatnonzero(best_mask >= 0)
    for number in matched[np.argsort(best_iou[matched], kind="stable")]:
        class_of_best[int(best_mask[number])] = int(class_of[number])
    union, best_single = np.zeros(target.shape, np.uint8), np.zeros(target.shape, np.uint8)
    mask_numbers = np.zeros(target.shape, np.int32)
    # From the largest to the smallest; of equal ones the first is written last.
    for number in sorted(range(len(segmentations)), key=lambda i: (-areas[i], -i)):
        mask = rle.decode(segmentations[number])
        mask_numbers[mask] = number + 1
        if assigned[number]:
            union[mask] = assigned[number]
        if number in class_of_best:
            best_single[mask] = class_of_best[number]
    return Match(_one_hot(union, classes), _one_hot(best_single, classes), mask_numbers)


def _objects(target: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the 8-connected components of each class: (h, w) int, 0 elsewhere; and the class of each number."""
    objects, class_of = np.zeros(target.shape, np.int64), [0]
    for label in range(1, classes + 1):
        of_class = target == label
        if of_class.any():
            labels, count = masks.components(of_class)
            objects[of_class] = labels[of_class] + len(class_of) - 1
            class_of += [label] * count
    return objects, np.array(class_of)


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(h, w) labels -> (classes, h, w) uint8, 255 or 0."""
    return np.where(labels == np.arange(1, classes + 1, dtype=np.uint8)[:, None, None], np.uint8(255), np.uint8(0))
