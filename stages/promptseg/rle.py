"""Masks as run lengths, in the compressed form of COCO's annotations (rleToString of pycocotools' maskApi.c)."""

import numpy as np


def encode(mask: np.ndarray) -> dict:
    """A mask, bool (h, w) -> {"size": [h, w], "counts": str}; pycocotools and annotation tools read it.

    Runs go down the columns and begin with one of background, which may be empty. From the fourth run on, what is kept
    is the difference to the run of the same kind before it. Each number is cut into groups of 5 bits, the lowest first;
    a sixth bit says that more follow, the highest bit of the last group is the sign, and 48 makes a letter of it.
    """
    letters = bytearray()
    runs = _runs(mask)
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            letters.append(group + 32 * more + 48)
    return {"size": list(mask.shape), "counts": letters.decode("ascii")}


def decode(encoded: dict) -> np.ndarray:
    """What `encode` gave -> the mask, bool (h, w). Raises ValueError where the runs do not fill it."""
    runs: list[int] = []
    value = shift = 0
    for letter in encoded["counts"].encode("ascii"):
        group = letter - 48
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    height, width = encoded["size"]
    if sum(runs) != height * width or shift or min(runs, default=0) < 0:
        raise ValueError(f"runs of {sum(runs)} pixels in a mask of {width}x{height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _runs(mask: np.ndarray) -> list[int]:
    """Lengths of the runs down the columns, the first one background."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0] if flat.size and flat[0] else [], [0], changes, [flat.size]]).astype(np.int64)
    return np.diff(starts).tolist()
