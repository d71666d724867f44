"""Geometry of binary masks: regions, boxes, interior points and boundary bands.

A mask is (h, w) bool, True inside. Pixels beyond the image count as outside. Coordinates are continuous: pixel i covers
[i, i + 1), so its center is i + 0.5.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

Box = tuple[float, float, float, float]


class Region(NamedTuple):
    """A mask of an object, cropped to the object's box.

    Attributes:
        top: first row of the crop, in pixels of the image.
        left: first column of the crop.
        mask: (h, w) bool, the crop; everything outside of it is False.
        height: height of the image.
        width: width of the image.
    """

    top: int
    left: int
    mask: np.ndarray
    height: int
    width: int

    def full(self) -> np.ndarray:
        """Return the mask at the size of the image, (height, width) bool."""
        mask = np.zeros((self.height, self.width), bool)
        mask[self.top : self.top + self.mask.shape[0], self.left : self.left + self.mask.shape[1]] = self.mask
        return mask


def whole_region(mask: np.ndarray) -> Region:
    """The mask (h, w) bool as a region that is not cropped; it may be empty."""
    return Region(0, 0, mask, *mask.shape)


def regions(mask: np.ndarray, per_instance: bool, instances: np.ndarray | None = None) -> list[Region]:
    """Crop a mask to one region, or to one for each instance.

    Memory is that of the image and of the crops, however many instances there are.

    Args:
        mask: (h, w) bool.
        per_instance: one region for each instance, in the order in which a row-by-row scan meets them, not one in all.
        instances: (h, w) uint16, the number of the instance at each pixel, 0 where it is not known; None: nowhere. What
            is not known are the 8-connected components.

    Returns:
        The regions, with copies of their pixels; none for an empty mask.
    """
    if per_instance and instances is not None:
        known = mask & (instances > 0)
        return _numbered_regions(np.where(known, instances, 0)) + regions(mask & ~known, True)
    if per_instance:
        labels, boxes = _components(mask)
    else:
        box = cv2.boundingRect(_bytes(mask))
        labels, boxes = mask, [box] if box[2] else []
    return [
        Region(y, x, labels[y : y + height, x : x + width] == number, *mask.shape)
        for number, (x, y, width, height) in enumerate(boxes, 1)
    ]


def bounding_box(mask: np.ndarray) -> Box | None:
    """Compute the tight box (x0, y0, x1, y1), in pixels, of a mask, (h, w) bool; None for an empty mask."""
    x, y, width, height = cv2.boundingRect(_bytes(mask))
    if width == 0:
        return None
    return float(x), float(y), float(x + width), float(y + height)


def region_box(region: Region) -> Box | None:
    """Compute `bounding_box` of a region's full mask; `prompts.box.Box.around` is the prompt."""
    box = bounding_box(region.mask)
    if box is None:
        return None
    return box[0] + region.left, box[1] + region.top, box[2] + region.left, box[3] + region.top


def depth(mask: np.ndarray) -> np.ndarray:
    """Compute the Euclidean distance of each pixel inside a mask, (h, w) bool, to the nearest pixel outside.

    Returns:
        (h, w) float32, 0 outside.
    """
    framed = cv2.copyMakeBorder(_bytes(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def interior_points(mask: np.ndarray, n: int) -> np.ndarray:
    """Choose n points deep inside a mask and far from each other.

    The first point is the deepest pixel (`depth`; the first in scan order among equals). Each further one is the
    deepest pixel at least r away from all chosen before, where r starts as the first one's depth and halves when no
    pixel is left; so no pixel is chosen twice while the mask has enough, and after that they repeat in the same order.

    Args:
        mask: (h, w) bool.
        n: number of points.

    Returns:
        (n, 2) float64, x and y of pixel centers; (0, 2) for an empty mask.
    """
    everywhere = depth(mask)
    ys, xs = np.nonzero(mask)
    if len(ys) == 0:
        return np.empty((0, 2))
    depths = everywhere[ys, xs]
    radius = float(depths.max())
    chosen = [int(np.argmax(depths))]
    gap = np.full(len(ys), np.inf)  # squared distance of each pixel to the nearest chosen one
    while len(chosen) < min(n, len(ys)):
        gap = np.minimum(gap, (xs - xs[chosen[-1]]) ** 2 + (ys - ys[chosen[-1]]) ** 2)
        while gap.max() < radius**2:
            radius = max(radius / 2, 1.0)  # two pixels are at least 1 apart, so some free pixel qualifies then
        chosen.append(int(np.argmax(np.where(gap >= radius**2, depths, -1.0))))
    picked = np.resize(chosen, n)
    return np.stack([xs[picked] + 0.5, ys[picked] + 0.5], axis=1)


def region_interior_points(region: Region, n: int) -> np.ndarray:
    """Choose `interior_points` of a region's full mask.

    The mask is laid out at full size for the moment: the last bits of OpenCV's distances depend on where a pixel lies,
    and among symmetric pixels they decide.
    """
    return interior_points(region.full(), n)


def boundary_band(labels: np.ndarray, ratio: float = 0.02) -> np.ndarray:
    """Compute the inner boundary band of a mask, or of each class of a label map (Cheng et al. 2021, Boundary IoU).

    The same pixels as `mask_to_boundary` of boundary-iou-api for each class, whose frame of zeros is a zero border
    here. A pixel is in the band of its class unless all pixels of the square around it have its label, that is unless
    no square of 2 x 2 pixels inside that square has two labels.

    Args:
        labels: (h, w) bool, or uint8, 0 outside.
        ratio: width of the band as a fraction of the image diagonal, rounded to at least 1 pixel.

    Returns:
        Of the same shape and dtype, the labels within that distance of the contour of their class, elsewhere 0.
    """
    is_label_map = labels.dtype == np.uint8 and labels.ndim == 2 and labels.size > 0
    values = np.ascontiguousarray(labels) if is_label_map else _bytes(labels)
    distance = max(1, round(ratio * math.sqrt(labels.shape[0] ** 2 + labels.shape[1] ** 2)))
    band = np.zeros(labels.shape, np.uint8)
    x, y, width, height = cv2.boundingRect(values)
    if width:
        # What lies beyond the box is 0, as what lies beyond the image. In a flat array rows follow each other, with
        # zeros between them; one row more than needed makes it long enough for whole rows of results.
        inside, row = values[y : y + height, x : x + width], width + 2 * distance
        framed = np.zeros((height + 2 * distance + 1, row), np.uint8)
        framed[distance : distance + height, distance : distance + width] = inside
        flat = framed.ravel()
        beside = flat[1:] != flat[:-1]
        mixed = beside[:-row] | beside[row:]
        mixed |= flat[:-row][:-1] != flat[row:][:-1]
        near = _any_of_next(_any_of_next(mixed, 2 * distance, row), 2 * distance, 1)
        near = near[: height * row].reshape(height, row)[:, :width]
        np.multiply(inside, near, out=band[y : y + height, x : x + width])
    return band if is_label_map else band.view(bool)


def _components(mask: np.ndarray) -> tuple[np.ndarray, list[list[int]]]:
    """Label the 8-connected components of a mask, (h, w) bool.

    Returns:
        labels: (h, w) int32, 0 outside and 1, 2, ... inside, in the order in which a row-by-row scan meets them.
        boxes: x, y, width and height of each.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_bytes(mask), connectivity=8)
    # OpenCV numbers in an order that depends on its algorithm. Each component's first pixel starts a run of its row, so
    # only such pixels are compared; assigned backwards, the first one of each component remains.
    starts = mask.copy()
    starts[:, 1:] &= ~mask[:, :-1]
    places = np.flatnonzero(starts)[::-1]
    first = np.full(count, -1)
    first[labels.ravel()[places]] = places
    order = np.argsort(first)
    renumbered = np.empty(count, np.int32)
    renumbered[order] = np.arange(count, dtype=np.int32)
    return renumbered[labels], stats[order[1:], : cv2.CC_STAT_AREA].tolist()


def _numbered_regions(labels: np.ndarray) -> list[Region]:
    """A region for each value but 0 of (h, w) integers, in the order in which a row-by-row scan meets them."""
    from scipy import ndimage  # 0.1 s, where instances are known

    inside = labels.ravel()[np.flatnonzero(labels)]
    numbers, first = np.unique(inside, return_index=True)
    boxes = ndimage.find_objects(labels)
    return [
        Region(rows.start, columns.start, labels[rows, columns] == number, *labels.shape)
        for number in numbers[np.argsort(first)].tolist()
        for rows, columns in (boxes[number - 1],)
    ]


def _any_of_next(flags: np.ndarray, number: int, stride: int) -> np.ndarray:
    """Whether any of `number` flags is set, each a stride after the last: bool, shorter by (number - 1) strides.

    In steps that double, which takes half as long as OpenCV's dilation.
    """
    reach = 1
    while reach < number:
        step = min(reach, number - reach)
        flags, reach = flags[: -step * stride] | flags[step * stride :], reach + step
    return flags


def _bytes(mask: np.ndarray) -> np.ndarray:
    """The mask as 0 and 1 in uint8, for OpenCV. Raises ValueError unless it is (h, w) bool."""
    if mask.ndim != 2 or mask.dtype != bool or mask.size == 0:
        raise ValueError(f"a mask is bool (h, w), got {mask.dtype} {mask.shape}")
    return np.ascontiguousarray(mask).view(np.uint8)
