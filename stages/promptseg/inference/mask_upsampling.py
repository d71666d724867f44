"""Masks of a picture's size out of a network's small logits, each computed in its own box only.

`ImageTransform.to_picture` is linear in rows and in columns, so that it is a product with one matrix on each side; a mask takes
the rows and columns of these that it touches. The values are those of `to_picture` up to rounding.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from promptseg.nn.image_transform import ImageTransform

Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are past the end


@dataclass(frozen=True)
class Bounds:
    """What small logits tell of k masks before they are enlarged: boxes (k, 4) int, as Box, in pixels of the picture.

    reach: no pixel outside has a logit above -offset. outer: none outside is positive. inner: the box of the positive
    ones holds it, as far as objects are wider than a sample; where it is empty, nothing is known.
    stability: (k,) float, of the small logits, 0 where none is above -offset. samples: (k,) int, how many are above it.
    """

    reach: np.ndarray
    outer: np.ndarray
    inner: np.ndarray
    stability: np.ndarray
    samples: np.ndarray


class Enlarger:
    """From logits (side, side) over a frame to those of a (height, width) picture in it."""

    def __init__(self, frame: ImageTransform, side: int, height: int, width: int):
        inner = frame.content(height, width)
        size = frame.size if frame.keep_aspect else None
        self._axes = [_Axis(side, size, part, length) for part, length in zip(inner, (height, width))]

    def bounds(self, logits: torch.Tensor, offset: float) -> Bounds:
        """logits: (k, side, side); offset: of the thresholds on both sides of 0 that make a stable mask."""
        rows, columns = self._axes
        seen = logits[:, : rows.used, : columns.used]  # the rest is padding
        above, positive = seen > -offset, seen > 0
        samples = above.sum(dim=(1, 2))
        stability = (seen > offset).sum(dim=(1, 2)) / samples.clamp(min=1)
        reach, outer, inner = [], [], []
        for axis, others in ((rows, 2), (columns, 1)):
            first, last = _ends(above.any(dim=others))
            reach.append((axis.begin[first], axis.end[last]))
            first, last = _ends(positive.any(dim=others))
            outer.append((axis.begin[first], axis.end[last]))
            inner.append((axis.end[first], axis.begin[last]))
        boxes = [np.stack([y[0], x[0], y[1], x[1]], axis=1) for y, x in (reach, outer, inner)]
        return Bounds(*boxes, stability.cpu().numpy(), samples.cpu().numpy())

    def crop(self, logits: torch.Tensor, box: Box) -> torch.Tensor:
        """The part of the picture's logits in a box, (bottom - top, right - left); logits: (side, side)."""
        rows, first, last = self._axes[0].between(box[0], box[2])
        columns, left, right = self._axes[1].between(box[1], box[3])
        return rows @ logits[first:last, left:right] @ columns.T


class _Axis:
    """One side of the picture: `length` pixels out of `side` samples.

    begin, end: (side,) the first pixel that a sample has a share in, and the one past the last. used: how many of
    the samples have any.
    """

    def __init__(self, side: int, size: int | None, inner: int, length: int):
        # What linear interpolation makes of each sample alone; by way of the frame's size where to_picture goes so.
        single = torch.eye(side)[None]
        if size is not None:
            single = F.interpolate(single, size, mode="linear", align_corners=False)[..., :inner]
        self._matrix = F.interpolate(single, length, mode="linear", align_corners=False)[0].T.contiguous()
        share = self._matrix.numpy() > 0
        self._first, self._last = share.argmax(axis=1), side - share[:, ::-1].argmax(axis=1)
        self.used = int(self._last.max())
        self.begin = np.searchsorted(self._last, np.arange(self.used), side="right")
        self.end = np.searchsorted(self._first, np.arange(self.used), side="right")

    def between(self, begin: int, end: int) -> tuple[torch.Tensor, int, int]:
        """The matrix (end - begin, last - first) of these pixels, and the samples first..last that it takes."""
        first, last = int(self._first[begin]), int(self._last[end - 1])
        return self._matrix[begin:end, first:last], first, last


def _ends(hit: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(k, n) bool -> the first and the last that is True, (k,) each; 0 and 0 where none is."""
    hit = hit.cpu().numpy()
    last = hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    return hit.argmax(axis=1), np.where(hit.any(axis=1), last, 0)
