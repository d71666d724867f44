"""From a dataset's own files to one container a split: split by group, cut into tiles, filtered, capped.

Two passes: the first reads masks alone and decides what is kept, the second reads the pictures that are. Both hold one
picture at a time, so a stack of any length passes.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from promptseg import container, datasets, files, params, pixels, tiling
from promptseg.container import Pair
from promptseg.datasets import Picture
from promptseg.errors import Problem
from promptseg.tiling import Window

SPLITS = ("train", "val", "test")


def prepare(
    name: str, settings: params.Dataset, max_images: int | None, seed: int, raw: Path, out: Path, metrics: Path
) -> None:
    """Write out/{train,val,test}.parquet and, as JSON, what was kept and dropped. Raises Problem."""
    cv2.setNumThreads(1)  # the pool below has a thread a core; OpenCV's own beside them only spin
    dataset = datasets.load(name)
    dataset.verify(raw)
    pictures = list(dataset.read(raw))
    splits = assign(pictures, settings, seed, ordered=getattr(dataset, "ORDERED_GROUPS", False))
    about = {"dataset": name, "title": dataset.TITLE, "classes": list(dataset.CLASSES), "licence": dataset.LICENCE}
    report = {}
    with files.replacing(out) as aside, ThreadPoolExecutor(os.cpu_count()) as pool:
        aside.mkdir()
        for split in SPLITS:
            mine = [picture for picture, of in zip(pictures, splits) if of == split]
            kept, report[split] = choose(mine, settings, max_images)
            with container.Writer(aside / f"{split}.parquet", Pair, about) as writer:
                for picture, windows in kept:
                    for pair in pool.map(*_cutter(picture, windows, settings)):
                        writer.add(pair)
        for split in ("train", "test"):
            if not report[split]["pairs"]:
                mend = f"lower datasets.{name}.min_foreground or give more data"
                raise Problem(f"{name}: nothing is left for {split}; {mend}")
    files.write_json(metrics, report)


def assign(pictures: list[Picture], settings: params.Dataset, seed: int, ordered: bool) -> list[str]:
    """The split of each picture: the source's own, and what it lacks is made of whole groups.

    ordered: groups lie in an order in which neighbours are alike (slices of a stack), so a split is cut off at the
    end; otherwise each group is drawn for itself, by a digest of (seed, split, group), so that more data moves no group
    to another split. Only so few that a split would get none or all are shared out: it gets one, or leaves one.
    """
    splits = [picture.split or "train" for picture in pictures]
    for split, fraction, lacks in (
        ("test", settings.test_fraction, "test" not in splits),
        ("val", settings.val_fraction, "val" not in splits),
    ):
        if not lacks:
            continue
        groups = list(dict.fromkeys(p.group for p, of in zip(pictures, splits) if of == "train"))
        wanted = round(fraction * len(groups))
        if not ordered:
            drawn = {group: _draw(f"{seed}/{split}/{group}") for group in groups}
            groups.sort(key=drawn.get, reverse=True)
            wanted = sum(number < fraction for number in drawn.values())
        count = min(len(groups) - 1, max(1, wanted)) if fraction else 0
        taken = set(groups[len(groups) - count :])
        splits = [split if of == "train" and p.group in taken else of for p, of in zip(pictures, splits)]
    return splits


def choose(
    pictures: list[Picture], settings: params.Dataset, max_images: int | None
) -> tuple[list[tuple[Picture, list[Window]]], dict[str, float]]:
    """Which windows of which pictures are kept, and the numbers for the report; reads masks alone."""
    kept, seen, foreground, counted = [], 0, 0, 0
    for picture in pictures:
        mask = picture.mask()
        for window in tiling.windows(*mask.shape, settings.tile, settings.overlap):
            seen += 1
            part = window.of(mask)
            known, marked = np.count_nonzero(part != 255), np.count_nonzero((part != 0) & (part != 255))
            if settings.min_foreground is None or marked > settings.min_foreground * known:
                kept.append((picture, window))
                foreground, counted = foreground + marked, counted + known
    pairs = len(kept) if max_images is None else min(max_images, len(kept))
    chosen = [kept[(2 * i + 1) * len(kept) // (2 * pairs)] for i in range(pairs)]  # evenly, whatever the order means
    by_picture: dict[str, tuple[Picture, list[Window]]] = {}
    for picture, window in chosen:
        by_picture.setdefault(picture.id, (picture, []))[1].append(window)
    return list(by_picture.values()), {
        "pictures": len(pictures),
        "pairs": pairs,
        "dropped_empty": seen - len(kept),
        "dropped_over_cap": len(kept) - pairs,
        "foreground": round(foreground / max(counted, 1), 6),
    }


def _draw(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def _cutter(picture: Picture, windows: list[Window], settings: params.Dataset) -> tuple:
    """A function and its arguments, one for each window, for a pool to map: the encoding is most of the work."""
    image, mask = picture.image(), picture.mask()
    pixels.check_pair(image, mask, picture.id)
    height, width = mask.shape
    grid = tiling.windows(height, width, settings.tile, settings.overlap)
    rows, columns = sorted({window.top for window in grid}), sorted({window.left for window in grid})

    def cut(window: Window) -> Pair:
        place = f"/r{rows.index(window.top)}c{columns.index(window.left)}" if settings.tile is not None else ""
        return Pair(
            id=picture.id + place,
            group=picture.group,
            image=pixels.png(np.ascontiguousarray(window.of_picture(image))),
            mask=pixels.png(np.ascontiguousarray(window.of(mask))),
            height=window.height,
            width=window.width,
            source=picture.id,
            top=window.top,
            left=window.left,
            whole_height=height,
            whole_width=width,
        )

    return cut, windows
