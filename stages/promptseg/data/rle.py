"""COCO's compressed run-length encoding of masks, by pycocotools, which itself reads damaged strings beyond their end.

A segmentation is a dict as COCO's JSON has it: `size`, [height, width], and `counts`, a string of printable ASCII.
"""

import re

import numpy as np
from pycocotools import mask as coco

from promptseg.core.errors import UserError

# Runs of five bits a character; 32 is added to all but the last. Six hold any run of an image (image_io.MAX_PIXELS).
_COUNTS = re.compile("(?:[P-o]{0,5}[0-O])+")


def encode(mask: np.ndarray, top: int = 0, left: int = 0, height: int | None = None, width: int | None = None) -> dict:
    """Encode a mask, or a crop of one.

    Args:
        mask: (h, w) bool.
        top: first row of the crop in the image.
        left: first column of the crop in the image.
        height: height of the image; None: that of the mask.
        width: width of the image; None: that of the mask.

    Returns:
        The segmentation.
    """
    image = np.zeros((height or mask.shape[0], width or mask.shape[1]), np.uint8, order="F")
    image[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    encoded = coco.encode(image)
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def decode(segmentation: dict) -> np.ndarray:
    """Decode a segmentation to a mask, (height, width) bool. Its size must be known to be that of the image.

    Raises:
        UserError: the counts are not what `encode` writes for a mask of this size.
    """
    try:
        if not _COUNTS.fullmatch(segmentation["counts"]):
            raise ValueError
        pixels = coco.decode(segmentation)
        # Where runs end too early, pycocotools leaves the other pixels to chance.
        if coco.encode(pixels)["counts"].decode("ascii") != segmentation["counts"]:
            raise ValueError
    except ValueError:
        height, width = segmentation["size"]
        raise UserError(f"the run lengths of a mask should fill {height} x {width} pixels; predict again") from None
    return pixels.view(bool)


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
    if counts.size and counts.min() < 0 or counts.sum() != height * width:
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
    if not _COUNTS.fullmatch(text):
        raise ValueError("its run lengths are damaged")
    digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(digits < 32)
    if not len(ends):
        return np.zeros(0, np.int64)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    counts = np.add.reduceat((digits & 31) << (5 * places), starts)
    counts -= np.where(digits[ends] & 16, np.int64(1) << (5 * lengths), 0)
    # From the fourth on they are differences to the one before the last.
    counts[1::2], counts[2::2] = np.cumsum(counts[1::2]), np.cumsum(counts[2::2])
    return counts
