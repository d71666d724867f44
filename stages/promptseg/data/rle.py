"""COCO's run-length encoding of masks, without pycocotools.

A mask, (h, w) bool, is read column by column; the counts are the lengths of its runs, the first of False (0 where the
first pixel is True). Uncompressed they are a list of int; compressed a string of printable ASCII: each count from the
fourth on as its difference to the one two before, in groups of five bits, as rleToString in COCO's common/maskApi.c.
"""

import numpy as np

from promptseg.core.errors import UserError

_GROUPS = 7  # of five bits: enough for any difference of 32-bit counts


def encode(mask: np.ndarray, top: int = 0, left: int = 0, height: int | None = None, width: int | None = None) -> list:
    """Encode a mask, or a crop of one, which is never laid out at full size.

    Args:
        mask: (h, w) bool.
        top: first row of the crop in the image.
        left: first column of the crop in the image.
        height: height of the image; None: that of the mask.
        width: width of the image; None: that of the mask.

    Returns:
        The counts, a list of int.
    """
    height, width = height or mask.shape[0], width or mask.shape[1]
    # A False above and below each column keeps runs within their columns, so that each change is the end of one run.
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), bool)
    columns[:, 1:-1] = mask.T
    column, row = np.divmod(np.flatnonzero(columns[:, 1:] != columns[:, :-1]), mask.shape[0] + 1)
    ends = (column + left) * height + row + top
    # A run that reaches the bottom of the image continues at the top of the next column.
    continued = np.flatnonzero(ends[1:-1:2] == ends[2::2]) * 2 + 1
    ends = np.delete(ends, np.concatenate([continued, continued + 1]))
    counts = np.diff(ends, prepend=0, append=height * width)
    return (counts if counts[-1] else counts[:-1]).tolist()


def decode(counts: list[int], height: int, width: int) -> np.ndarray:
    """Decode counts to a mask, (height, width) bool. Raises UserError unless they fill it."""
    if not counts or min(counts) < 0 or sum(counts) != height * width:
        raise UserError(f"the run lengths of a mask should fill {height} x {width} pixels; predict again")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def area(counts: list[int]) -> int:
    """Count the True pixels."""
    return sum(counts[1::2])


def compress(counts: list[int]) -> str:
    """Compress counts to COCO's string."""
    values = np.array(counts, np.int64)
    values[3:] -= np.array(counts[1:-2], np.int64)
    rest = values[:, None] >> (5 * np.arange(_GROUPS + 1))
    groups = rest[:, :-1] & 31
    # The last group is the one after which only copies of its sign bit are left.
    last = np.where(groups & 16, rest[:, 1:] == -1, rest[:, 1:] == 0).argmax(axis=1)
    place = np.arange(_GROUPS)
    characters = 48 + groups + 32 * (place < last[:, None])
    return characters[place <= last[:, None]].astype(np.uint8).tobytes().decode("ascii")


def decompress(text: str) -> list[int]:
    """Parse the counts of COCO's string. Raises UserError for any other text."""
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    lasts = np.flatnonzero(codes & 32 == 0)
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or lasts.size == 0 or lasts[-1] != codes.size - 1:
        raise UserError("not a run-length string as COCO writes it; predict again")
    firsts = np.concatenate([[0], lasts[:-1] + 1])
    lengths = lasts - firsts + 1
    if lengths.max() > _GROUPS:
        raise UserError("a run-length string with a run longer than an image; predict again")
    place = np.arange(codes.size) - np.repeat(firsts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), firsts)
    values -= np.where(codes[lasts] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values.tolist()
