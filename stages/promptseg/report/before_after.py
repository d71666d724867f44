"""The same images before and after fine-tuning: where it hurt most, and its worst, median and best image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import point_clouds, records
from promptseg.evaluation import class_means, score_table
from promptseg.evaluation.scored_images import ScoredImages
from promptseg.report import embedded, panels, run_figure
from promptseg.report.verdict import Verdict

TITLES = ("image and prompt", "ground truth", "zero-shot", "fine-tuned")
HURT, WORST, MEDIAN, BEST = "hurt most", "worst", "median", "best"  # why an image is shown
_SIDE = 128  # pixels: of a view


@dataclass(frozen=True)
class Row:
    """One image, predicted by both runs.

    Attributes:
        id: of the image.
        reasons: why it is shown, of HURT, WORST, MEDIAN and BEST; the last three by the IoU after fine-tuning.
        before: its IoU before, in [0, 1].
        after: its IoU after.
        image: data URI of four views in a row, as TITLES; the last two show the agreement with the ground truth.
    """

    id: str
    reasons: tuple[str, ...]
    before: float
    after: float
    image: str


@dataclass(frozen=True)
class Pair:
    """A fine-tuned run beside its zero-shot run.

    Attributes:
        dataset: of both.
        before: name of the zero-shot run.
        after: names of the fine-tuned runs, which are one training.
        rows: the images.
    """

    dataset: str
    before: str
    after: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Folders:
    """Where the images and what was computed of them are.

    Attributes:
        prepared: of <dataset>/test.parquet.
        predictions: of <run>.parquet.
        scores: of <run>.parquet.
    """

    prepared: Path
    predictions: Path
    scores: Path


def pairs(gains: list[dict], verdicts: Sequence[Verdict], folders: Folders) -> list[Pair]:
    """Show each pair of runs on the same images.

    Args:
        gains: of `gains.gains`, of which `dataset`, `before` and `after` are read.
        verdicts: where one speaks of both runs of a pair, all the images are shown that it calls worse.
        folders: to read from.

    Returns:
        The pairs, in the order of `gains`; those of point clouds, of which no pixels compare, are left out.

    Raises:
        UserError: a file is missing or damaged, or the two runs are of different images.
    """
    worse = {(name, verdict.dataset): verdict.worse for verdict in verdicts for name in verdict.runs}
    with ThreadPool(Ranks().cores) as pool:
        found = pool.map_ordered(lambda pair: _pair(pair, worse, folders), gains)
        return [pair for pair in found if pair is not None]


def _pair(gain: dict, worse: dict[tuple[str, str], tuple[str, ...]], folders: Folders) -> Pair | None:
    dataset, before, after = gain["dataset"], gain["before"], gain["after"][0]
    split = records.open_split(folders.prepared / dataset / "test.parquet")
    if point_clouds.is_point_cloud(split.metadata):
        return None
    spoken_of = (before, dataset) in worse and any((name, dataset) in worse for name in gain["after"])
    named = worse[before, dataset] if spoken_of else ()
    first, second = (_image_scores(folders.scores / f"{name}.parquet") for name in (before, after))
    if first.keys() != second.keys():
        raise UserError(
            f"{folders.scores}/{after}.parquet: not of the images of {before}; delete both and run `dvc repro`"
        )
    reasons = choose(first, second, named)
    shown = [
        ScoredImages(split, records.open_predictions(folders.predictions / f"{name}.parquet"))
        for name in (before, after)
    ]
    rows, classes = [], split.metadata["classes"]
    for index, id in enumerate(shown[0].ids):
        if id in reasons:
            views = [run_figure.views(images[index], classes, _SIDE) for images in shown]
            strip = panels.trim(panels.beside([*views[1][:2], views[0][3], views[1][3]]))
            rows.append(Row(id, reasons[id], first[id], second[id], embedded.data_uri(Image.fromarray(strip))))
    order = list(reasons)
    return Pair(dataset, before, gain["after"], sorted(rows, key=lambda row: order.index(row.id)))


def choose(before: dict[str, float], after: dict[str, float], named: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Choose the images to show, by scores alone.

    Args:
        before: IoU of each image by id.
        after: IoU after fine-tuning, of the same images.
        named: ids to show as those where fine-tuning hurt most; otherwise the one that lost most, if any lost.

    Returns:
        Why each image is shown, by id: those that lost, then the worst, the median and the best after fine-tuning.
    """
    ids = list(after)
    lost = sorted((id for id in ids if after[id] < before[id]), key=lambda id: after[id] - before[id])
    lost = [id for id in named if id in lost] or lost[:1]
    reasons: dict[str, list[str]] = {id: [HURT] for id in lost}
    ranked = run_figure.choose([after[id] for id in ids], 3)
    words = (WORST, MEDIAN, BEST) if len(ranked) == 3 else (WORST, BEST) if len(ranked) == 2 else (MEDIAN,)
    for index, word in zip(ranked, words):
        reasons.setdefault(ids[index], []).append(word)
    return {id: tuple(words) for id, words in reasons.items()}


def _image_scores(path: Path) -> dict[str, float]:
    """The mean IoU of each image over the classes that its ground truth has; images without any are left out."""
    table = score_table.read_counts(path)
    where = class_means.in_truth(table.counts)
    ious = np.where(where, table.counts[..., 0] / np.maximum(table.counts.sum(axis=-1), 1), 0.0)
    classes = np.sum(where, axis=1)
    means = ious.sum(axis=1) / np.maximum(classes, 1)
    return {id: mean for id, mean, number in zip(table.ids, means.tolist(), classes.tolist()) if number}
