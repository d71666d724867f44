"""Whether numbered images are slices of volumes, or frames of clips: of neighbors that are alike none may be split."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.preprocessing import near_duplicates

VOLUME = "^(.*?)[ _.-]*[0-9]+[^0-9/]*$"  # what precedes the last number of a name
_NUMBER = re.compile(VOLUME.replace("[0-9]+", "([0-9]+)"))
_BLOCKS = (5, 10, 20, 50, 100)  # slices that are one group
_FEWEST = 8  # images
_FEWEST_BLOCKS = 6  # one each for training and validation, three for the test, and one left out before it
_PAIRS = 50  # of images that are compared
_LEAST_ALIKE = 5  # percentile of the neighbors that counts, as a slice in a volume may be damaged


def block(slices: int) -> int:
    """Slices of a stack that are one group: fewer than usual where there are few."""
    return max(1, min(_BLOCKS[0], slices // _FEWEST_BLOCKS))


def find(
    folder: Path, sizes: dict[str, tuple[int, int]], window: list[float] | None, splits: int
) -> tuple[dict[str, Any], str] | None:
    """Find out whether images are slices: numbered, of one size, and each like the next one.

    Args:
        folder: of the images.
        sizes: (height, width) of each image, by its path relative to the folder.
        window: black and white of images with more than 8 bits.
        splits: number of splits that the folder has itself; at least 1.

    Returns:
        Options of the folder reader for the groups, and the evidence in words; None where they are no slices.
    """
    volumes: dict[str, list[tuple[int, str]]] = {}
    for path in sizes:
        match = _NUMBER.search(path)
        if match is None:
            return None
        volumes.setdefault(match[1], []).append((int(match[2]), path))
    unequal = any(len({sizes[path] for _, path in slices}) > 1 for slices in volumes.values())
    if unequal or len(sizes) < max(_FEWEST, 2 * len(volumes)):
        return None
    order = [(name, path) for name in sorted(volumes) for _, path in sorted(volumes[name])]
    alike = _Correlations(folder, order, window)
    near, far = alike.apart(1), alike.anywhere()
    # Of X-rays any two are alike, and of a clip the far ones too: what counts is how much more the neighbors are.
    if not len(near) or 1 - np.percentile(near, _LEAST_ALIKE) > (1 - far) / 2:
        return None
    seen = f"{len(order):,} numbered images of one size; neighbors correlate by {near.mean():.2f}, others by {far:.2f}"
    what = "one volume, or clip" if len(volumes) == 1 else f"{len(volumes):,} volumes, or clips"
    options: dict[str, Any] = {"group": VOLUME} if len(volumes) > 1 else {}
    if len(volumes) > 2 * splits:
        return options, f"{seen}: {what}, each a group; --group states others"
    options["block"] = _block(alike, len(order), (near.mean() + far) / 2)
    blocks = f"groups of {options['block']} consecutive images, one of which is left out between two splits"
    return options, f"{seen}: {what}; {blocks}; --group states others"


def _block(alike: "_Correlations", slices: int, limit: float) -> int:
    """The fewest slices beyond which most correlate by no more than the limit, as far as there are enough of them."""
    sizes = [size for size in _BLOCKS if size * _FEWEST_BLOCKS <= slices] or [block(slices)]
    for size in sizes:
        found = alike.apart(size + 1)
        if 2 * np.count_nonzero(found > limit) <= len(found):
            return size
    return sizes[-1]


class _Correlations:
    """Correlations of thumbnails of images in the order of their volumes and numbers."""

    def __init__(self, folder: Path, order: list[tuple[str, str]], window: list[float] | None):
        self._names = [name for name, _ in order]
        limits = (window[0], window[1]) if window else None

        @lru_cache(None)
        def thumbnail(place: int) -> np.ndarray | None:
            """Of length 1; None for an image that is flat, or cannot be read, which reading it reports."""
            try:
                found = near_duplicates.fingerprint(image_io.read_image(folder / order[place][1], limits)).thumbnail
            except UserError:
                return None
            return None if found is None else found / np.linalg.norm(found)

        self._thumbnail = thumbnail

    def apart(self, steps: int) -> np.ndarray:
        """Of evenly spaced images and those so many steps later in the same volume, (n,)."""
        places = range(len(self._names) - steps)
        pairs = [(place, place + steps) for place in places if self._names[place] == self._names[place + steps]]
        return self._of(pairs)

    def anywhere(self) -> float:
        """The mean of evenly spaced images and those half of all images away."""
        count = len(self._names)
        found = self._of([(place, (place + count // 2) % count) for place in range(count)])
        return float(found.mean()) if len(found) else 1.0

    def _of(self, pairs: list[tuple[int, int]]) -> np.ndarray:
        chosen = pairs[:: -(-len(pairs) // _PAIRS)] if pairs else []
        found = [(self._thumbnail(first), self._thumbnail(second)) for first, second in chosen]
        return np.array([first @ second for first, second in found if first is not None and second is not None])
