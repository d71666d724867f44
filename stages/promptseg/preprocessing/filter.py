"""Filtering of records: every mask is measured once, and the numbers decide.

A sample takes a few numbers for each window, so that a hundred thousand tiles fit into a few megabytes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data.image_io import IGNORED
from promptseg.data.tiling import Window
from promptseg.datasets import LeaveOut, Sample
from promptseg.preprocessing.tiles import Tiler


class PixelCounts(NamedTuple):
    """Pixels of one mask.

    Attributes:
        height: of the mask.
        width: of the mask.
        valid: (n,) int32, pixels of each window that are not ignored.
        foreground: (n,) int32, pixels of each window that are of any class.
    """

    height: int
    width: int
    valid: np.ndarray
    foreground: np.ndarray


def measure(samples: list[Sample], tiler: Tiler, pool: ThreadPool) -> list[PixelCounts | None]:
    """Count the pixels of every mask.

    Returns:
        The counts of each sample; None where it is to be left out, or cannot be read and the settings skip invalid
        samples.

    Raises:
        UserError: a mask cannot be read, otherwise.
    """

    def count(sample: Sample) -> PixelCounts | None:
        try:
            mask = tiler.mask(sample)
        except LeaveOut:
            return None
        except UserError:
            if tiler.settings.skip_invalid:
                return None
            raise
        height, width = mask.shape
        windows = tiler.windows(height, width)
        labelled, ignored = _nonzero(mask, windows), _nonzero(cv2.inRange(mask, IGNORED, IGNORED), windows)
        pixels = np.array([window.height * window.width for window in windows], np.int32)
        return PixelCounts(height, width, pixels - ignored, labelled - ignored)

    return list(pool.map_ordered(count, samples))


def _nonzero(array: np.ndarray, windows: list[Window]) -> np.ndarray:
    return np.array([cv2.countNonZero(window.of(array)) for window in windows], np.int32)


@dataclass(frozen=True)
class Choice:
    """The records of a split.

    Attributes:
        windows: index of each sample with records, and (n,) int32, indexes of its windows.
        report: what was kept and dropped, for the metrics.
    """

    windows: list[tuple[int, np.ndarray]]
    report: dict[str, float]


def choose(
    indexes: list[int],
    counts: dict[int, PixelCounts],
    settings: params.Dataset,
    max_images: int | None,
    keep_empty: bool,
) -> Choice:
    """Choose the windows of a split that become records.

    Args:
        indexes: of the split's samples.
        counts: of all samples that can be read, by index.
        settings: min_foreground and min_pixels.
        max_images: number of records with foreground at most, and of those without, each evenly spaced; None: all.
        keep_empty: keep windows without foreground whatever the settings, where any of their pixels counts.
    """
    readable = [index for index in indexes if index in counts]
    valid, foreground = (
        np.concatenate([getattr(counts[index], name) for index in readable] or [np.empty(0, np.int32)])
        for name in ("valid", "foreground")
    )
    owner = np.repeat(np.arange(len(readable)), [len(counts[index].valid) for index in readable])
    first = np.searchsorted(owner, np.arange(len(readable)))
    empty, wanted = foreground == 0, foreground >= settings.min_pixels
    if settings.min_foreground is not None:
        wanted &= foreground > settings.min_foreground * valid
    if keep_empty:
        wanted |= empty & (valid > 0)
    # Apart, so that a cap leaves as many with ground truth whether empty ones are kept or not.
    kinds = [np.flatnonzero(wanted & kind) for kind in (~empty, empty)]
    chosen = np.sort(np.concatenate([_evenly_spaced(kind, max_images) for kind in kinds]))
    kept = int(wanted.sum())
    windows: dict[int, list[int]] = {}
    for place in chosen.tolist():
        windows.setdefault(readable[owner[place]], []).append(place - int(first[owner[place]]))
    sizes = [(counts[index].height, counts[index].width) for index in windows]
    return Choice(
        [(index, np.array(places, np.int32)) for index, places in windows.items()],
        {
            "images": len(indexes),
            "images_kept": len(windows),
            "records": len(chosen),
            "records_empty": int(empty[chosen].sum()),
            "dropped_unreadable": len(indexes) - len(readable),
            "dropped_empty": int((empty & ~wanted).sum()),
            "dropped_small": int((~empty & ~wanted).sum()),
            "dropped_over_cap": kept - len(chosen),
            "foreground": round(int(foreground[wanted].sum()) / max(int(valid[wanted].sum()), 1), 6),
            **{
                f"{extreme.__name__}_{name}": extreme((size[axis] for size in sizes), default=0)
                for axis, name in enumerate(("height", "width"))
                for extreme in (min, max)
            },
        },
    )


def _evenly_spaced(places: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of them, whatever their order means."""
    count = len(places) if most is None else min(most, len(places))
    return places[(2 * np.arange(count) + 1) * len(places) // (2 * count)] if count else places[:0]
