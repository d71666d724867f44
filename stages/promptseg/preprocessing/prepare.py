"""From a dataset's own files to a container for each split: split by group, cut into tiles, filtered, capped.

Two passes: the first reads masks alone and decides what is kept, the second reads the pictures that are. Both hold a
few pictures at a time. The rows are dealt into files of about equal size before any is made, so that several processes
(torchrun, on one machine or several that share the folder) write the same bytes as one.
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptseg import datasets
from promptseg.core import files, params
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import Pool
from promptseg.data import records
from promptseg.data.records import PARTS, Record
from promptseg.datasets import Sample
from promptseg.preprocessing import class_selection, near_duplicates, split_assignment
from promptseg.preprocessing.filter import Choice, Measured, choose, measure
from promptseg.preprocessing.near_duplicates import Fingerprint
from promptseg.preprocessing.split_assignment import SPLITS
from promptseg.preprocessing.tiles import Cutter

PART_PIXELS = 64 << 20  # of pictures in one file: 20 to 200 MB once encoded
TOGETHER = 16  # pictures measured by one process at a time
SHOWN = 10  # near-duplicates that are named


def prepare(
    name: str, settings: params.Dataset, max_images: int | None, seed: int, raw: Path, out: Path, metrics: Path
) -> None:
    """Write out/{train,val,test}.parquet/ and, as JSON, what was kept and dropped. Raises UserError."""
    ranks = Ranks()
    dataset, options = datasets.load(settings.reader), datasets.options(name, settings)
    kind = datasets.kind(name, settings)
    dataset.verify(raw, *options)
    known = datasets.classes(dataset, *options)
    classes, table = class_selection.select(known, settings.classes, f"datasets.{name}.classes")
    cutter, fingerprint = Cutter(settings, table), getattr(dataset, "CHECK_DUPLICATES", False)
    pictures = list(dataset.read(raw, *options))
    splits = split_assignment.assign(pictures, settings, seed, datasets.ordered(dataset, *options))
    about = {"dataset": name, "title": dataset.TITLE, "classes": list(classes), "licence": dataset.LICENCE}
    if kind != "picture":
        among = {text: [classes.index(part) + 1 for part in of] for text, of in getattr(dataset, "CLASSES_BY_CATEGORY", {}).items()}
        about |= {"kind": kind, "whole": getattr(dataset, "IS_CLASSIFICATION", False), "among": among}
    with Pool(ranks.cores) as pool, contextlib.ExitStack() as stack:
        measured = _measure(pictures, cutter, pool, ranks)
        choices = {split: _choose(split, splits, measured, settings, max_images) for split in SPLITS}
        for split in ("train", "test"):
            if not choices[split].windows:
                mend = f"lower datasets.{name}.min_foreground or give more data"
                raise UserError(f"{name}: nothing is left for {split}; {mend}")
        aside = stack.enter_context(files.replacing(out)) if ranks.main else None
        if ranks.main:
            for split in SPLITS:
                (aside / f"{split}.parquet").mkdir(parents=True)
        aside = ranks.gather(aside)[0]
        parts = _deal(choices, measured, cutter)
        mine = parts[ranks.rank :: ranks.world]
        done = [_write(part, aside, about, pictures, cutter, pool, fingerprint) for part in mine]
        done = [results for share in ranks.gather(done) for results in share]
    if ranks.main:
        report = {split: choices[split].report for split in SPLITS}
        for written in done:
            report[written.split]["pairs"] -= written.lost
            report[written.split]["dropped_unreadable"] += written.lost
        if fingerprint:
            report["near_duplicates"] = _warn(name, done)
        files.write_json(metrics, report)
    ranks.close()


@dataclass(frozen=True)
class Part:
    """One file of a split: its number among `count`, and the windows of pictures that are its rows."""

    split: str
    number: int
    count: int
    windows: list[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class Written:
    """What became of a part: the rows that could not be read, and fingerprints of its pictures by id."""

    split: str
    lost: int
    fingerprints: dict[str, Fingerprint]


def _measure(pictures: list[Sample], cutter: Cutter, pool: Pool, ranks: Ranks) -> list[Measured | None]:
    mine = [index for chunk in ranks.chunks(len(pictures), TOGETHER) for index in chunk]
    found = dict(zip(mine, measure([pictures[index] for index in mine], cutter, pool)))
    for share in ranks.gather(found):
        found |= share
    return [found[index] for index in range(len(pictures))]


def _choose(
    split: str, splits: list[str], measured: list[Measured | None], settings: params.Dataset, max_images: int | None
) -> Choice:
    return choose([index for index, of in enumerate(splits) if of == split], measured, settings, max_images)


def _deal(choices: dict[str, Choice], measured: list[Measured | None], cutter: Cutter) -> list[Part]:
    """The files of all splits, each of whole pictures and of about PART_PIXELS; at least one a split."""
    parts = []
    for split, choice in choices.items():
        dealt, room = [[]], PART_PIXELS
        for index, chosen in choice.windows:
            grid = cutter.windows(measured[index].height, measured[index].width)
            pixels = sum(grid[place].height * grid[place].width for place in chosen)
            if pixels > room and dealt[-1]:
                dealt.append([])
                room = PART_PIXELS
            dealt[-1].append((index, chosen))
            room -= pixels
        parts += [Part(split, number, len(dealt), windows) for number, windows in enumerate(dealt)]
    return parts


def _write(
    part: Part, folder: Path, about: dict, pictures: list[Sample], cutter: Cutter, pool: Pool, fingerprint: bool
) -> Written:
    def cut(item: tuple[int, np.ndarray]) -> tuple[list[Record], Fingerprint | None] | None:
        picture = pictures[item[0]]
        try:
            image, mask = cutter.read(picture)
            print = near_duplicates.hashes(image) if fingerprint else None
            return list(cutter.pairs(picture, image, mask, item[1])), print
        except UserError:
            if cutter.settings.skip_bad:
                return None
            raise

    path = records.part(folder / f"{part.split}.parquet", part.number)
    lost, fingerprints = 0, {}
    with records.RecordWriter(path, Record, {**about, PARTS: part.count}) as writer:
        for (index, chosen), result in zip(part.windows, pool.in_order(cut, part.windows)):
            if result is None:
                lost += len(chosen)
                continue
            for pair in result[0]:
                writer.add(pair)
            if fingerprint:
                fingerprints[pictures[index].id] = result[1]
    return Written(part.split, lost, fingerprints)


def _warn(name: str, done: list[Written]) -> int:
    """Say on stderr which pictures of different splits are nearly the same; how many there are."""
    seen = [(written.split, id, print) for written in done for id, print in written.fingerprints.items()]
    found = near_duplicates.across(*([row[column] for row in seen] for column in range(3)))
    for one, of_one, other, of_other in found[:SHOWN]:
        print(
            f"warning: {name}: {one} ({of_one}) and {other} ({of_other}) are nearly the same picture", file=sys.stderr
        )
    if found:
        more = f"{len(found)} such pairs, " if len(found) > SHOWN else ""
        print(f"warning: {name}: {more}scores on test will flatter; see options.group in the README", file=sys.stderr)
    return len(found)
