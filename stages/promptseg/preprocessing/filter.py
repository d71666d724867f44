"""What of a dataset is kept: every mask is measured once, and then the numbers alone decide.

A picture weighs a few numbers a window here, so that a hundred thousand tiles fit into a few megabytes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import Pool
from promptseg.data.image_io import IGNORED
from promptseg.data.tiling import Window
from promptseg.datasets import Sample
from promptseg.preprocessing.tiles import Cutter


class Measured(NamedTuple):
    """One picture's mask: its size, and for each window the pixels that count and those of any class, (n,) int32."""

    height: int
    width: int
    known: np.ndarray
    marked: np.ndarray


def measure(pictures: list[Sample], cutter: Cutter, pool: Pool) -> list[Measured | None]:
    """Every mask's numbers; None where it cannot be read and settings say to leave such pictures out."""

    def one(picture: Sample) -> Measured | None:
        try:
            mask = cutter.mask(picture)
        except UserError:
            if cutter.settings.skip_bad:
                return None
            raise
        windows = cutter.windows(*mask.shape)
        marked, ignored = _counts(mask, windows), _counts(cv2.inRange(mask, IGNORED, IGNORED), windows)
        pixels = np.array([window.height * window.width for window in windows], np.int32)
        return Measured(*mask.shape, pixels - ignored, marked - ignored)

    return list(pool.in_order(one, pictures))


def _counts(array: np.ndarray, windows: list[Window]) -> np.ndarray:
    return np.array([cv2.countNonZero(window.of(array)) for window in windows], np.int32)


@dataclass(frozen=True)
class Choice:
    """What of a split is kept: for each kept picture its index and its windows' indexes; and the report's numbers."""

    windows: list[tuple[int, np.ndarray]]
    report: dict[str, float]


def choose(
    indexes: list[int], measured: list[Measured | None], settings: params.Dataset, max_images: int | None
) -> Choice:
    """Which windows of these pictures are kept: those with foreground enough, and of them `max_images`, evenly."""
    there = [index for index in indexes if measured[index] is not None]
    known, marked = (
        np.concatenate([getattr(measured[index], name) for index in there] or [np.empty(0, np.int32)])
        for name in ("known", "marked")
    )
    owner = np.repeat(np.arange(len(there)), [len(measured[index].known) for index in there])
    first = np.searchsorted(owner, np.arange(len(there)))
    everything = settings.min_foreground is None
    empty = (marked == 0) & (not everything)
    few = ~empty & (marked < settings.min_pixels)
    if not everything:
        few |= ~empty & (marked <= settings.min_foreground * known)
    kept = np.flatnonzero(~(empty | few))
    count = len(kept) if max_images is None else min(max_images, len(kept))
    # Evenly, whatever the order means.
    chosen = kept[(2 * np.arange(count) + 1) * len(kept) // (2 * count)] if count else kept[:0]
    windows: dict[int, list[int]] = {}
    for place in chosen.tolist():
        windows.setdefault(there[owner[place]], []).append(place - int(first[owner[place]]))
    sizes = [(measured[index].height, measured[index].width) for index in windows]
    return Choice(
        [(index, np.array(of, np.int32)) for index, of in windows.items()],
        {
            "pictures": len(indexes),
            "pairs": count,
            "dropped_unreadable": len(indexes) - len(there),
            "dropped_empty": int(empty.sum()),
            "dropped_small": int(few.sum()),
            "dropped_over_cap": len(kept) - count,
            "foreground": round(int(marked[kept].sum()) / max(int(known[kept].sum()), 1), 6),
            **{
                f"{of.__name__}_{name}": of((size[axis] for size in sizes), default=0)
                for axis, name in enumerate(("height", "width"))
                for of in (min, max)
            },
        },
    )
