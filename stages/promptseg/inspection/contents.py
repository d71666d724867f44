"""What samples hold, read as the pipeline will read them: classes, instances, near-duplicates."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from promptseg.core import progress
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import file_kinds
from promptseg.data.image_io import IGNORED
from promptseg.datasets import LeaveOut, Sample
from promptseg.preprocessing import near_duplicates
from promptseg.preprocessing.near_duplicates import Fingerprint

MASKS = 1000  # samples whose masks are measured; more are evenly spaced
IMAGES = 2000  # images whose thumbnails are compared; more are neighbors at evenly spaced places
_NEIGHBORS = 4
_THUMBNAIL = 96  # pixels that a JPEG is decoded to at least
_SMALLEST = 4  # pixels of an instance that is counted


@dataclass(frozen=True)
class ClassContents:
    """A class in the samples that were measured.

    Attributes:
        images: that have it.
        instances: of it.
        median_area: of these, in pixels.
        share: mean share of the image where it is.
    """

    images: int
    instances: int
    median_area: float
    share: float


@dataclass
class Contents:
    """What was measured.

    Attributes:
        measured: samples whose masks were read.
        classes: of each class.
        empty: samples without any class.
        known: samples whose source tells the instances of all classes apart.
        touching: instances that touch another one.
        sides: height and width of the masks that were measured.
        errors: a line for each sample that cannot be read.
    """

    measured: int = 0
    classes: list[ClassContents] = field(default_factory=list)
    empty: int = 0
    known: int = 0
    touching: int = 0
    sides: list[tuple[int, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Duplicates:
    """Near-duplicates.

    Attributes:
        looked_at: images that were compared.
        pairs: images that are like an earlier one.
        across: of these, whose earlier one is in another split of the folder.
    """

    looked_at: int
    pairs: int
    across: int


@dataclass(frozen=True)
class _Measured:
    areas: tuple[np.ndarray, ...] = ()
    size: tuple[int, int] = (1, 1)
    known: bool = False
    touching: int = 0
    error: str = ""


def measure(samples: Sequence[Sample], selected: Sequence[set[int]]) -> Contents:
    """Measure the masks of evenly spaced samples.

    Args:
        samples: of the dataset.
        selected: of each class of the study the reader's labels.
    """
    chosen = samples[:: -(-len(samples) // MASKS)] if samples else []
    found = Contents()
    areas: list[list[np.ndarray]] = [[] for _ in selected]
    shares: list[list[float]] = [[] for _ in selected]
    with ThreadPool(Ranks().cores) as pool:
        results = pool.map_ordered(partial(_measure, selected=selected), chosen)
        for one in progress.bar(results, desc="instances", total=len(chosen)):
            if one.error:
                found.errors.append(one.error)
                continue
            found.measured += 1
            found.known, found.touching = found.known + one.known, found.touching + one.touching
            found.sides.append(one.size)
            found.empty += not any(len(each) for each in one.areas)
            for place, each in enumerate(one.areas):
                if len(each):
                    areas[place].append(each)
                    shares[place].append(float(each.sum()) / (one.size[0] * one.size[1]))
    for each, share in zip(areas, shares, strict=True):
        flat = np.concatenate(each) if each else np.zeros(0)
        median = float(np.median(flat)) if flat.size else 0.0
        found.classes.append(ClassContents(len(each), len(flat), median, float(np.mean(share)) if share else 0.0))
    return found


def _measure(sample: Sample, selected: Sequence[set[int]]) -> _Measured:
    try:
        mask = sample.mask()
        numbers = sample.instances() if sample.instances is not None else None
    except LeaveOut:
        return _Measured(error=f"{sample.id}: left out, as the official files do not fit")
    except UserError as error:
        return _Measured(error=str(error))
    areas = tuple(_areas(np.isin(mask, sorted(labels)), numbers) for labels in selected)
    size = (int(mask.shape[0]), int(mask.shape[1]))
    if numbers is None:
        return _Measured(areas, size)
    inside = (mask > 0) & (mask != IGNORED)
    numbered = np.where(inside, numbers, 0)
    return _Measured(areas, size, bool(inside.any() and numbered[inside].all()), _touching(numbered))


def _areas(mask: np.ndarray, numbers: np.ndarray | None) -> np.ndarray:
    """Pixels of each instance: of those that are numbered, else of connected components."""
    if not mask.any():
        return np.zeros(0)
    if numbers is not None and (counts := np.bincount(numbers[mask]))[1:].any():
        areas = counts[1:][counts[1:] > 0]
    else:
        stats = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)[2]
        areas = stats[1:, cv2.CC_STAT_AREA]
    large = areas[areas >= _SMALLEST]
    return large if len(large) else areas


def _touching(numbers: np.ndarray) -> int:
    """How many instances, (h, w) integers, have a pixel beside one of another."""
    found = set()
    for first, second in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        beside = (first != second) & (first > 0) & (second > 0)
        found |= set(np.unique(first[beside]).tolist()) | set(np.unique(second[beside]).tolist())
    return len(found)


def fingerprints(samples: Sequence[Sample]) -> tuple[dict[int, Fingerprint | None], list[str]]:
    """Compute the fingerprints of images by their place; None for those that cannot be read, and a line for each.

    Args:
        samples: of the dataset; of many, runs of neighbors at evenly spaced places, as frames of one clip are.
    """
    chosen = list(range(len(samples)))
    if len(samples) > IMAGES:
        starts = np.linspace(0, len(samples) - _NEIGHBORS, IMAGES // _NEIGHBORS).astype(int)
        chosen = sorted({int(start) + step for start in starts for step in range(_NEIGHBORS)})
    with ThreadPool(Ranks().cores) as pool:
        results = pool.map_ordered(_fingerprint, [samples[place] for place in chosen])
        found = dict(zip(chosen, progress.bar(results, desc="near-duplicates", total=len(chosen)), strict=True))
    prints = {place: each if isinstance(each, Fingerprint) else None for place, each in found.items()}
    return prints, [each for each in found.values() if isinstance(each, str)]


def duplicates(samples: Sequence[Sample], prints: dict[int, Fingerprint | None]) -> Duplicates:
    """Find images that are like an earlier one. prints: from `fingerprints`."""
    readable = {place: each for place, each in prints.items() if each is not None}
    # Each image a split of its own: alike is alike, wherever the source has it.
    places = [str(place) for place in readable]
    pairs = near_duplicates.find_across_splits(places, places, list(readable.values()))
    across = sum(samples[int(first)].split != samples[int(second)].split for first, _, second, _ in pairs)
    return Duplicates(len(readable), len(pairs), across)


def _fingerprint(sample: Sample) -> Fingerprint | str:
    """The fingerprint of an image, or why it cannot be read."""
    try:
        if sample.file is not None and file_kinds.kind(sample.file) == "JPEG":
            with contextlib.suppress(OSError):  # which reading it whole explains
                if (draft := _draft(sample.file)) is not None:
                    return near_duplicates.fingerprint(draft)
        return near_duplicates.fingerprint(sample.image())
    except UserError as error:
        return str(error)


def _draft(path: Path) -> np.ndarray | None:
    """A JPEG in gray, decoded at the smallest of its scales that is large enough: a tenth of the time.

    None for color spaces that are not read.
    """
    with open(path, "rb") as file, Image.open(file, formats=("JPEG", "MPO")) as image:
        if image.mode not in ("L", "RGB"):
            return None
        image.draft("L", (_THUMBNAIL, _THUMBNAIL))
        array = np.asarray(image.convert("L"))
    return cv2.resize(array, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA) if min(array.shape) < 9 else array
