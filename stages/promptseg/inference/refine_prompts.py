"""From a coarse map of where something is to the prompts that ask for its outline: one for each component.

A map is (h, w) float32 in [0, 1]; the prompts are in its pixels.
"""

import cv2
import numpy as np

from promptseg.core import params
from promptseg.data import masks
from promptseg.prompts import Prompt

SMOOTHING = 1 / 44  # of a map's side: half a patch of CLIPSeg, whose upsampling leaves a pattern in each
AROUND = 0.25  # of a component's box, on each side of it: where its negative points lie


def prompts(probability: np.ndarray, settings: params.Refine) -> list[Prompt]:
    """What to ask about a map: a prompt for each of its components, the largest first; none where nothing is found."""
    over = probability >= settings.threshold
    labels, count = masks.components(over)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-areas, kind="stable")[: settings.most]
    smooth = cv2.GaussianBlur(probability, (0, 0), SMOOTHING * max(probability.shape))
    return [
        _prompt(probability, smooth, labels == 1 + i, over, settings)
        for i in largest
        if areas[i] >= settings.min_share * over.size
    ]


def _prompt(
    probability: np.ndarray, smooth: np.ndarray, part: np.ndarray, over: np.ndarray, settings: params.Refine
) -> Prompt:
    box, asks = np.array(masks.box(part)), settings.by.split(" + ")
    points = labels = None
    if "points" in asks:
        on = highest(smooth, part, settings.points)
        off = highest(-smooth, _around(box, part.shape) & ~over, settings.points)
        # Where nothing lies around it, label -1: SAM's own mark of a point that is none.
        labels = np.repeat([1, 0 if len(off) else -1], settings.points)
        points = np.concatenate([on, off if len(off) else np.zeros_like(on)])
    return Prompt(
        points=points,
        labels=labels,
        box=box if "box" in asks else None,
        mask=np.where(part, probability, np.float32(0)) if "mask" in asks else None,
    )


def highest(values: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """Centers of the `count` pixels of highest value among those allowed, float64 (count, 2), x then y.

    They keep half the spacing that a grid of so many over the allowed area would have, so that no peak takes them all;
    where too few are left they repeat. (0, 2) where none is allowed.
    """
    ys, xs = np.nonzero(allowed)
    apart = np.sqrt(len(xs) / count) / 2
    chosen: list[int] = []
    left = values[ys, xs].astype(np.float64)
    while len(chosen) < count and np.isfinite(left.max(initial=-np.inf)):
        chosen.append(int(left.argmax()))
        left[np.hypot(xs - xs[chosen[-1]], ys - ys[chosen[-1]]) <= apart] = -np.inf
    picked = np.resize(np.array(chosen, int), count if chosen else 0)
    return np.stack([xs[picked] + 0.5, ys[picked] + 0.5], axis=1)


def _around(box: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The box with room on each side, as a mask, bool (h, w)."""
    room = AROUND * np.tile(box[2:] - box[:2], 2) * [-1, -1, 1, 1]
    x0, y0, x1, y1 = np.round(box + room).clip(0).astype(int)
    out = np.zeros(shape, bool)
    out[y0:y1, x0:x1] = True
    return out
