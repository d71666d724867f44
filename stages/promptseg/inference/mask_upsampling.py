"""Masks at the size of the image from a network's small logits, each computed in its own box only.

`ImageTransform.to_image` is linear in rows and in columns, so it is a product with one matrix on each side; a crop
takes the rows and columns of these that it needs. Values equal those of `to_image` up to rounding.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from promptseg.nn.image_transform import ImageTransform

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels; the last two are exclusive


@dataclass(frozen=True)
class MaskBounds:
    """What small logits show of k masks before they are upsampled.

    Attributes:
        reach: (k, 4) int boxes, as Box in pixels of the image, outside of which no logit is above -offset.
        outer: (k, 4), outside of which no logit is positive.
        inner: (k, 4), contained in the box of the positive logits, as far as objects are wider than a sample of the
            small logits; nothing is known where it is empty.
        stability: (k,) float, of the small logits; 0 where none is above -offset.
        samples: (k,) int, number of small logits above -offset.
    """

    reach: np.ndarray
    outer: np.ndarray
    inner: np.ndarray
    stability: np.ndarray
    samples: np.ndarray


class MaskUpsampler:
    """Upsamples logits over a model's input to the size of one image.

    Args:
        transform: image transform of the model.
        side: of the logits, pixels.
        height: of the image.
        width: of the image.
    """

    def __init__(self, transform: ImageTransform, side: int, height: int, width: int):
        content = transform.content_size(height, width)
        size = transform.size if transform.keep_aspect else None
        self._axes = [_Axis(side, size, *lengths) for lengths in zip(content, (height, width))]

    def bounds(self, logits: torch.Tensor, offset: float) -> MaskBounds:
        """Bound k masks. logits: (k, side, side); offset: of the thresholds of stability, on both sides of 0."""
        rows, columns = self._axes
        content = logits[:, : rows.used, : columns.used]  # the rest is padding
        above, positive = content > -offset, content > 0
        samples = above.sum(dim=(1, 2))
        stability = (content > offset).sum(dim=(1, 2)) / samples.clamp(min=1)
        reach, outer, inner = [], [], []
        for axis, other in ((rows, 2), (columns, 1)):
            first, last = _ends(above.any(dim=other))
            reach.append((axis.begin[first], axis.end[last]))
            first, last = _ends(positive.any(dim=other))
            outer.append((axis.begin[first], axis.end[last]))
            inner.append((axis.end[first], axis.begin[last]))
        boxes = [np.stack([y[0], x[0], y[1], x[1]], axis=1) for y, x in (reach, outer, inner)]
        return MaskBounds(boxes[0], boxes[1], boxes[2], stability.cpu().numpy(), samples.cpu().numpy())

    def crop(self, logits: torch.Tensor, box: Box) -> torch.Tensor:
        """Upsample one mask (side, side) within a box only: (bottom - top, right - left)."""
        rows, first, last = self._axes[0].between(box[0], box[2])
        columns, left, right = self._axes[1].between(box[1], box[3])
        return rows @ logits[first:last, left:right] @ columns.T


class _Axis:
    """Interpolation along one side of the image, from `side` samples to `length` pixels.

    Args:
        side: number of samples.
        size: of the model's input where interpolation passes it, else None.
        content: pixels of the input that the image takes.
        length: pixels of the image.

    Attributes:
        begin, end: (used,) first pixel that depends on a sample, and the one after the last.
        used: number of samples that any pixel depends on.
    """

    def __init__(self, side: int, size: int | None, content: int, length: int):
        single = torch.eye(side)[None]  # interpolated, each sample's column of the matrix
        if size is not None:
            single = F.interpolate(single, size, mode="linear", align_corners=False)[..., :content]
        self._matrix = F.interpolate(single, length, mode="linear", align_corners=False)[0].T.contiguous()
        depends = self._matrix.numpy() > 0
        self._first, self._last = depends.argmax(axis=1), side - depends[:, ::-1].argmax(axis=1)
        self.used = int(self._last.max())
        self.begin = np.searchsorted(self._last, np.arange(self.used), side="right")
        self.end = np.searchsorted(self._first, np.arange(self.used), side="right")

    def between(self, begin: int, end: int) -> tuple[torch.Tensor, int, int]:
        """Matrix (end - begin, last - first) for pixels begin..end, and the samples first..last that it multiplies."""
        first, last = int(self._first[begin]), int(self._last[end - 1])
        return self._matrix[begin:end, first:last], first, last


def _ends(hit: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """First and last True of each row of (k, n) bool, (k,) each; 0 and 0 where there is none."""
    hit = hit.cpu().numpy()
    last = hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    return hit.argmax(axis=1), np.where(hit.any(axis=1), last, 0)
