"""Interactive segmentation as its papers define it, without promptseg: the next click, and the number of clicks.

RITM (Sofiiuk et al. 2022, 4.1) and SAM (Kirillov et al. 2023, D.1): a click is in the center of the largest error, that
is on its pixel that is farthest from the border, and the number of clicks is that after which the IoU first reaches a
level, 20 where it does not in 20.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage


def reference_click(
    target: np.ndarray, prediction: np.ndarray, valid: np.ndarray, clicked: list[tuple[float, float]]
) -> tuple[float, float, int] | None:
    """x, y and label of the next click; distances are scipy's, squared and so whole numbers."""
    best: dict[int, tuple[int, int, int]] = {}  # label -> squared distance, row, column
    for label, errors in ((0, prediction & ~target & valid), (1, target & ~prediction & valid)):
        framed = np.pad(errors, 1)  # what is beyond the image is outside
        squared = np.rint(ndimage.distance_transform_edt(framed)[1:-1, 1:-1] ** 2).astype(int)
        for x, y in clicked:
            squared[int(y), int(x)] = 0
        best[label] = int(squared.max()), *divmod(int(squared.argmax()), squared.shape[1])
    label, (depth, row, column) = max(best.items(), key=lambda item: (item[1][0], -item[0]))
    return (column + 0.5, row + 0.5, label) if depth else None


def reference_ious(
    target: np.ndarray, valid: np.ndarray, fill: Callable[[np.ndarray, float, float, int], np.ndarray], clicks: int
) -> list[float]:
    """IoU after 1, 2, ... clicks. fill: prediction, x, y, label -> the next prediction."""
    prediction, clicked, ious = np.zeros_like(target), [], []
    for _ in range(clicks):
        click = reference_click(target, prediction, valid, clicked)
        if click is not None:
            prediction = fill(prediction, *click)
            clicked.append(click[:2])
        ious.append((target & prediction & valid).sum() / ((target | prediction) & valid).sum())
    return ious


def reference_noc(ious: list[list[float]], level: float, limit: int = 20) -> tuple[float, int]:
    """Mean number of clicks to a level, and the number of objects that do not reach it."""
    counts = [next((number for number, iou in enumerate(each, 1) if iou >= level), None) for each in ious]
    return float(np.mean([limit if count is None else count for count in counts])), counts.count(None)
