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
    height, width = height or mask.shape[0], width or mask.shape[1]
    # Runs go down the columns: those beside the crop only add to the first and the last one.
    framed = np.zeros(mask.shape[1] * height + 2, bool)
    framed[1:-1].reshape(mask.shape[1], height)[:, top : top + mask.shape[0]] = mask.T
    edges = np.flatnonzero(framed[1:] != framed[:-1]) + left * height
    counts = np.diff(edges, prepend=0, append=height * width)
    if counts[-1] == 0:
        counts = counts[:-1]
    encoded = coco.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
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
