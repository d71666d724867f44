"""Run lengths of annotations: from numbers and polygons, and decoded in the box of their pixels.

A segmentation is one of `data.rle`, which has masks of our own; these come from other programs, so a damaged one is a
ValueError, for a message that names the annotation.
"""

import numpy as np
from pycocotools import mask as coco

_LONGEST = 6  # characters of a number, of five bits each: any run of an image


def from_counts(counts: list[int], height: int, width: int) -> dict:
    """Encode run lengths that are numbers, as COCO stores crowds.

    Args:
        counts: lengths of runs down the columns, of background and mask in turns, background first.
        height: of the image.
        width: of the image.

    Returns:
        The segmentation.

    Raises:
        ValueError: they are no lengths, or do not fill the image.
    """
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"its run lengths do not fill {height} x {width} pixels")
    encoded = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def from_polygon(points: np.ndarray, height: int, width: int) -> dict:
    """Encode a polygon, filled at pixel centers by the even-odd rule.

    Args:
        points: (n, 2) x and y in pixels, n >= 3, finite; in memory of the pixels along the outline.
        height: of the image; what leaves it is cut.
        width: of the image.

    Returns:
        The segmentation.
    """
    (encoded,) = coco.frPyObjects([points.ravel().tolist()], height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def crop(segmentation: dict) -> tuple[np.ndarray, int, int]:
    """Decode the box of a segmentation's pixels, in time and memory of the box.

    Args:
        segmentation: its size must be known to be that of the image.

    Returns:
        mask: (h, w) bool; (0, 0) for an empty one.
        top: first row of the crop in the image.
        left: first column of the crop in the image.

    Raises:
        ValueError: the counts do not fill the size.
    """
    height, width = segmentation["size"]
    counts = _counts(segmentation["counts"])
    if counts.min() < 0 or counts.sum() != height * width:
        raise ValueError(f"its run lengths do not fill {height} x {width} pixels")
    ends = np.cumsum(counts)
    starts, stops = ends[0:-1:2], ends[1::2]
    starts, stops = starts[stops > starts], stops[stops > starts]
    if not len(starts):
        return np.zeros((0, 0), bool), 0, 0
    (columns, rows), (last_columns, last_rows) = np.divmod(starts, height), np.divmod(stops - 1, height)
    left, right = int(columns[0]), int(last_columns[-1]) + 1
    top, bottom = int(rows.min()), int(last_rows.max()) + 1
    if (columns < last_columns).any():  # a run that goes on in the next column is in the last row and in the first
        top, bottom = 0, height
    steps = np.zeros((right - left) * (bottom - top) + 1, np.int8)
    steps[(columns - left) * (bottom - top) + rows - top] = 1
    # Where the next run starts at once, the steps cancel out.
    steps[(last_columns - left) * (bottom - top) + last_rows - top + 1] -= 1
    area = np.cumsum(steps[:-1], dtype=np.int8).view(bool).reshape(right - left, bottom - top)
    return area.T, top, left


def _counts(text: str) -> np.ndarray:
    """The run lengths of compressed counts, int64. Raises ValueError where the text is none."""
    digits = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    # Five bits a character; 32 is added to all but the last one of a number.
    ends = np.flatnonzero(digits < 32)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts[: len(ends)] + 1
    if (
        not len(ends)
        or ends[-1] != len(digits) - 1
        or digits.min() < 0
        or digits.max() > 63
        or lengths.max() > _LONGEST
    ):
        raise ValueError("its run lengths are damaged")
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    counts = np.add.reduceat((digits & 31) << (5 * places), starts)
    counts -= np.where(digits[ends] & 16, np.int64(1) << (5 * lengths), 0)
    # From the fourth on they are differences to the one before the last.
    counts[1::2], counts[2::2] = np.cumsum(counts[1::2]), np.cumsum(counts[2::2])
    return counts
