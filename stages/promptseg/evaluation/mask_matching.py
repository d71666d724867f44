"""Matching of automatic masks, which have no classes, with the ground truth. Scores of the result are oracle scores.

Masks of SAM are often finer than an annotation (windows of a building, lines on a road), so they are matched in two
ways:
- union: a mask is assigned to the class in which more than half of its pixels lie, and the masks of a class are united;
- best single: each segment of the ground truth, an instance of a class (an 8-connected component where instances are
  not known), is compared with the one mask of the highest IoU with it.
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
        best_single: (segments,) float64, IoU of the best single mask with each segment, by class, then in the order of
            `masks.regions`.
        mask_numbers: (h, w) int32, number (1, 2, ...) of the smallest mask at each pixel, 0 where there is none.
    """

    union: np.ndarray
    best_single: np.ndarray
    mask_numbers: np.ndarray


def match(target: np.ndarray, segmentations: list[dict], classes: int, instances: np.ndarray | None = None) -> Match:
    """Match automatic masks with the ground truth.

    Args:
        target: (h, w) uint8, 0 background, i class i, 255 ignored.
        segmentations: of each mask (`rle`), of the target's size.
        classes: number of classes.
        instances: (h, w) uint16, the number of the instance at each pixel, 0 where it is not known; None: nowhere.

    Returns:
        The matched masks.

    Raises:
        UserError: the run lengths of a mask are damaged.
    """
    segments, class_of = _segments(target, classes, instances)
    sizes = np.bincount(segments.ravel(), minlength=len(class_of))
    counted = target != IGNORED
    best_iou = np.zeros(len(class_of))  # of each segment
    assigned = np.zeros(len(segmentations), np.uint8)  # class of each mask, 0 for none
    areas = np.zeros(len(segmentations), np.int64)
    for number, segmentation in enumerate(segmentations):
        mask = rle.decode(segmentation)
        areas[number] = np.count_nonzero(mask)
        mask &= counted
        area = np.count_nonzero(mask)
        intersection = np.bincount(segments[mask], minlength=len(class_of))
        by_class = np.bincount(class_of, intersection, minlength=classes + 1)
        by_class[0] = 0
        if by_class.max() > INSIDE * area:
            assigned[number] = by_class.argmax()
        best_iou = np.maximum(best_iou, intersection / np.maximum(sizes + area - intersection, 1))
    union, mask_numbers = np.zeros(target.shape, np.uint8), np.zeros(target.shape, np.int32)
    # From the largest to the smallest; of equal ones the first is written last.
    for number in sorted(range(len(segmentations)), key=lambda i: (-areas[i], -i)):
        mask = rle.decode(segmentations[number])
        mask_numbers[mask] = number + 1
        if assigned[number]:
            union[mask] = assigned[number]
    return Match(_one_hot(union, classes), best_iou[1:], mask_numbers)


def _segments(target: np.ndarray, classes: int, instances: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Number the instances of each class: (h, w) int, 0 elsewhere; and the class of each number."""
    segments, class_of = np.zeros(target.shape, np.int64), [0]
    for label in range(1, classes + 1):
        of_class = target == label
        if of_class.any():
            for region in masks.regions(of_class, True, instances):
                height, width = region.mask.shape
                crop = segments[region.top : region.top + height, region.left : region.left + width]
                crop[region.mask] = len(class_of)
                class_of.append(label)
    return segments, np.array(class_of)


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(h, w) labels -> (classes, h, w) uint8, 255 or 0."""
    return np.where(labels == np.arange(1, classes + 1, dtype=np.uint8)[:, None, None], np.uint8(255), np.uint8(0))
