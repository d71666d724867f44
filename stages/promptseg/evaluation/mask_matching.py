"""Automatic masks have no classes: which of them make up what is true. Uses the truth, so its scores are an oracle's.

Two answers, as SAM's masks are often finer than an annotation (windows of a building, lines on a road):
- union: each mask counts for the class in which more than half of its pixels lie, and the class is their union;
- single: each true segment, a connected part of a class, is given the one mask of the highest IoU with it.
Where masks overlap, a pixel belongs to the smallest. Ignored pixels are on nobody's side.
"""

from dataclasses import dataclass

import numpy as np

from promptseg.data import masks, rle
from promptseg.data.image_io import IGNORED

INSIDE = 0.5  # a mask lies inside a class with more than this share of its pixels


@dataclass(frozen=True)
class Match:
    """union, single: (classes, h, w) uint8, 255 where a class is and 0 elsewhere; pieces: (h, w) int32, the number
    (1, 2, ...) of the smallest mask at each pixel, 0 where there is none."""

    union: np.ndarray
    single: np.ndarray
    pieces: np.ndarray


def match(truth: np.ndarray, found: list[list[int]], classes: int) -> Match:
    """truth: (h, w) uint8, 0 background, i class i, 255 ignored; found: the counts (`rle`) of each mask."""
    height, width = truth.shape
    parts, class_of = _parts(truth, classes)
    sizes = np.bincount(parts.ravel(), minlength=len(class_of))
    counted = truth != IGNORED
    best = np.zeros(len(class_of))  # IoU of each part's best mask so far
    owner = np.full(len(class_of), -1)  # which mask that is
    inside = np.zeros(len(found), np.uint8)  # the class that a mask lies in, 0 for none
    for number, counts in enumerate(found):
        mask = rle.decode(counts, height, width) & counted
        area = np.count_nonzero(mask)
        shared = np.bincount(parts[mask], minlength=len(class_of))
        by_class = np.bincount(class_of, shared, minlength=classes + 1)
        by_class[0] = 0
        if by_class.max() > INSIDE * area:
            inside[number] = by_class.argmax()
        overlap = shared / np.maximum(sizes + area - shared, 1)
        better = (overlap > best) & (class_of > 0)
        best[better], owner[better] = overlap[better], number
    chosen: dict[int, int] = {}  # mask: class, the one whose part it fits best where it is best for several
    for part in np.flatnonzero(owner >= 0)[np.argsort(best[owner >= 0], kind="stable")]:
        chosen[int(owner[part])] = int(class_of[part])
    union, single = np.zeros(truth.shape, np.uint8), np.zeros(truth.shape, np.uint8)
    pieces = np.zeros(truth.shape, np.int32)
    # The largest first, so that smaller ones lie on top; equals in the order in which they were found, the first on top
    for number in sorted(range(len(found)), key=lambda i: (-rle.area(found[i]), -i)):
        mask = rle.decode(found[number], height, width)
        pieces[mask] = number + 1
        if inside[number]:
            union[mask] = inside[number]
        if number in chosen:
            single[mask] = chosen[number]
    return Match(_maps(union, classes), _maps(single, classes), pieces)


def _parts(truth: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The 8-connected parts of each class, numbered: (h, w) int, 0 elsewhere; and the class of each number."""
    parts, class_of = np.zeros(truth.shape, np.int64), [0]
    for label in range(1, classes + 1):
        of_class = truth == label
        if of_class.any():
            labels, count = masks.components(of_class)
            parts[of_class] = labels[of_class] + len(class_of) - 1
            class_of += [label] * count
    return parts, np.array(class_of)


def _maps(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.where(labels == np.arange(1, classes + 1, dtype=np.uint8)[:, None, None], np.uint8(255), np.uint8(0))
