"""Prepare a dataset: its samples are split by group, tiled, filtered, capped and written as shards.

Two passes: the first reads masks alone and decides what is kept, the second reads the images that are. Both hold a few
samples at a time. The records are distributed over shards of about equal size before any is written, so that several
processes (torchrun, on one machine or several that share the folder) write the same bytes as one.
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from promptseg import datasets
from promptseg.core import files, params
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import records
from promptseg.data.records import SHARDS, Record
from promptseg.datasets import Sample
from promptseg.preprocessing import class_selection, independence, near_duplicates, split_assignment, tiles
from promptseg.preprocessing.filter import Choice, PixelCounts, choose, measure
from promptseg.preprocessing.split_assignment import GAP, SPLITS
from promptseg.preprocessing.tiles import Tiler

SHARD_PIXELS = 64 << 20  # of the images in one shard: 20 to 200 MB once encoded
CHUNK = 16  # samples measured by one process at a time
SHOWN = 10  # files left out that are named
GIVEN = {
    frozenset({True}): "given",
    frozenset({False}): "connected components",
    frozenset({True, False}): "given in part, else connected components",
}


@dataclass(frozen=True)
class Paths:
    """Inputs and outputs.

    Attributes:
        raw: folder of the dataset's files.
        out: folder for the splits: train.parquet/, val.parquet/ and test.parquet/.
        metrics: JSON file for what was kept and dropped.
    """

    raw: Path
    out: Path
    metrics: Path


def prepare(name: str, settings: params.Dataset, max_images: int | None, seed: int, paths: Paths) -> None:
    """Write the splits of a dataset and the metrics of what was kept and dropped.

    Args:
        name: of the entry in params.yaml.
        settings: of the entry.
        max_images: records with ground truth of a split at most, and as many without; None: all.
        seed: of the split into training, validation and test.
        paths: inputs and outputs.

    Raises:
        UserError: the files are incomplete or cannot be read, or no record is left for the test, or of the training's.
    """
    ranks = Ranks()
    dataset, options = datasets.load(settings.reader), datasets.options(name, settings)
    modality = datasets.modality(name, settings)
    datasets.verify(dataset, paths.raw, *options)
    known, contained_in = (
        datasets.classes(dataset, *options, folder=paths.raw),
        datasets.contained_in(dataset, *options),
    )
    classes, table = class_selection.select(known, settings.classes, f"datasets.{name}.classes", contained_in)
    samples = list(dataset.read(paths.raw, *options))
    ordered, find_duplicates = datasets.ordered(dataset, *options), getattr(dataset, "CHECK_DUPLICATES", False)
    metadata = _metadata(name, modality, dataset, classes)
    metadata |= {"group_unit": datasets.group_unit(dataset, *options), "seed": seed, "score": settings.score}
    with ThreadPool(ranks.cores) as pool, contextlib.ExitStack() as stack:
        prints = independence.fingerprints(samples, ranks, pool) if find_duplicates else []
        if find_duplicates and not ordered and not any(getattr(given, "group", None) for given in options):
            before, correlation = samples, getattr(dataset, "CLIP_CORRELATION", near_duplicates.ALIKE)
            samples = independence.unite_groups(samples, prints, correlation)
            if ranks.main:
                independence.note_united(name, before, samples)
        splits = split_assignment.assign(samples, settings, seed, ordered)
        job = _Job(samples, Tiler(settings, table), pool, metadata)
        counts = _measure(job, ranks)
        choices = {}
        for split in SPLITS:
            indexes = [index for index, own in enumerate(splits) if own == split]
            # Empty images show false alarms. Training and validation leave them out, as in the studies, and point
            # clouds have a label at each point.
            keep_empty = split == "test" and modality == "image"
            choices[split] = choose(indexes, counts, settings, max_images, keep_empty)
        for split in ("train", "test"):
            # Without any training samples there are zero-shot runs only.
            report = choices[split].report
            if report["records"] == report["records_empty"] and (split == "test" or split in splits):
                remedy = f"lower datasets.{name}.min_foreground or give more data"
                if len(samples) > 1 and len({sample.group for sample in samples}) == 1:
                    remedy = f"all images are one group{_regroup(name, options)}"
                raise UserError(f"{name}: no record with ground truth is left for {split}; {remedy}")
        aside = None
        if ranks.main:
            aside = stack.enter_context(files.replacing(paths.out))
            for split in SPLITS:
                (aside / f"{split}.parquet").mkdir(parents=True)
        folder = next(filter(None, ranks.gather(aside)))  # that of the main process
        shards = _distribute(choices, counts, job.tiler)
        mine = [_write(job, shard, folder) for shard in shards[ranks.rank :: ranks.world]]
        written = [result for results in ranks.gather(mine) for result in results]
    if ranks.main:
        reports: dict[str, Any] = {split: choices[split].report for split in SPLITS}
        for split in SPLITS if modality == "image" else ():
            if given := set[bool]().union(*(result.given for result in written if result.split == split)):
                # What `per: instance` prompts for: where the source tells nothing, instances that touch are one.
                reports[split]["instances"] = GIVEN[frozenset(given)]
        for result in written:
            for index, chosen in result.lost:
                reports[result.split]["images_kept"] -= 1
                reports[result.split]["records"] -= len(chosen)
                reports[result.split]["records_empty"] -= int((counts[index].foreground[chosen] == 0).sum())
                reports[result.split]["dropped_unreadable"] += len(chosen)
        if skipped := datasets.left_out(dataset, paths.raw, *options):
            reports["files_left_out"] = len(skipped)
            named = ", ".join(skipped[:SHOWN]) + (", ..." if len(skipped) > SHOWN else "")
            print(f"warning: {name}: files left out, without counterpart: {len(skipped):,}: {named}", file=sys.stderr)
        if ordered:
            reports["dropped_gap"] = splits.count(GAP)
        if find_duplicates:
            used = {split: [samples[index] for index, _ in choices[split].windows] for split in SPLITS}
            by_id = {sample.id: fingerprint for sample, fingerprint in zip(samples, prints, strict=True)}
            reports["near_duplicates"] = independence.warn_across_splits(name, used, by_id, _regroup(name, options))
        files.write_json(paths.metrics, reports)
    ranks.close()


@dataclass(frozen=True)
class _Job:
    """What both passes need."""

    samples: list[Sample]
    tiler: Tiler
    pool: ThreadPool
    metadata: dict


@dataclass(frozen=True)
class _Shard:
    """A shard to write: its number among `count` of the split, and the windows of samples that are its records."""

    split: str
    number: int
    count: int
    windows: list[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class _Written:
    """A shard that was written.

    Attributes:
        split: its split.
        lost: windows of samples that could not be read.
        given: whether the source numbers the instance at a pixel of a class: the values that occur in its records.
    """

    split: str
    lost: list[tuple[int, np.ndarray]]
    given: set[bool]


def _regroup(name: str, options: tuple) -> str:
    """What to do about wrong groups, for messages; empty where the reader decides alone."""
    return f"; set datasets.{name}.options.group" if any(hasattr(given, "group") for given in options) else ""


def _metadata(name: str, modality: str, dataset: ModuleType, classes: tuple[str, ...]) -> dict:
    metadata = {"dataset": name, "title": dataset.TITLE, "classes": list(classes), "licence": dataset.LICENCE}
    metadata["words"] = datasets.words(dataset, classes)
    if modality != "image":
        categories = getattr(dataset, "CLASSES_BY_CATEGORY", {})
        numbers = {text: [classes.index(name) + 1 for name in names] for text, names in categories.items()}
        metadata |= {"modality": modality, "classes_by_category": numbers}
        metadata |= {"is_classification": getattr(dataset, "IS_CLASSIFICATION", False)}
    return metadata


def _measure(job: _Job, ranks: Ranks) -> dict[int, PixelCounts]:
    """Pixel counts of all samples that can be read, by index; each is measured by one process."""
    mine = [index for chunk in ranks.chunks(len(job.samples), CHUNK) for index in chunk]
    measured = measure([job.samples[index] for index in mine], job.tiler, job.pool)
    counts = {index: each for index, each in zip(mine, measured) if each is not None}
    for share in ranks.gather(counts):
        counts |= share
    return counts


def _distribute(choices: dict[str, Choice], counts: dict[int, PixelCounts], tiler: Tiler) -> list[_Shard]:
    """The shards of all splits, each of whole samples and of about SHARD_PIXELS; at least one a split."""
    shards = []
    for split, choice in choices.items():
        contents: list[list[tuple[int, np.ndarray]]] = [[]]
        room = SHARD_PIXELS
        for index, chosen in choice.windows:
            grid = tiler.windows(counts[index].height, counts[index].width)
            pixels = sum(grid[place].height * grid[place].width for place in chosen)
            if pixels > room and contents[-1]:
                contents.append([])
                room = SHARD_PIXELS
            contents[-1].append((index, chosen))
            room -= pixels
        shards += [_Shard(split, number, len(contents), windows) for number, windows in enumerate(contents)]
    return shards


def _write(job: _Job, shard: _Shard, folder: Path) -> _Written:

    def encode(item: tuple[int, np.ndarray]) -> list[tuple[Record, set[bool]]] | None:
        sample = job.samples[item[0]]
        try:
            image, mask = job.tiler.read(sample)
            return [
                (record, tiles.instances_given(record)) for record in job.tiler.records(sample, image, mask, item[1])
            ]
        except UserError:
            if job.tiler.settings.skip_invalid:
                return None
            raise

    path = records.shard_path(folder / f"{shard.split}.parquet", shard.number)
    lost: list[tuple[int, np.ndarray]] = []
    given: set[bool] = set()
    with records.RecordWriter(path, Record, {**job.metadata, SHARDS: shard.count}) as writer:
        for (index, chosen), encoded in zip(shard.windows, job.pool.map_ordered(encode, shard.windows)):
            if encoded is None:
                lost.append((index, chosen))
            for record, of_record in encoded or ():
                writer.add(record)
                given |= of_record
    return _Written(shard.split, lost, given)
