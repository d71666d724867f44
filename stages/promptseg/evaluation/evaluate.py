"""Score a run: what it predicted against the truth. Knows two containers and neither model nor dataset."""

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.data import generated_masks, point_clouds, records
from promptseg.data.records import RecordReader
from promptseg.data.tiling import Blender, Window, overlapping
from promptseg.evaluation import mask_matching, point_cloud_scores, scores
from promptseg.report import point_cloud_figure, run_figure

SHOWN = 3  # pictures in the grid


def evaluate(
    truth: Path, predictions: Path, seed: int, metrics: Path, table: Path, thresholds: Path, pictures: Path
) -> None:
    """Write a run's metrics (JSON), its scores by picture (Parquet) and by threshold (CSV), and a grid of pictures.

    Automatic masks are matched with the truth, so their scores are an oracle's: those of the union of the masks that
    lie inside each class, and beside them, as iou_best_single, iou_mean of the best single mask for each true segment.
    Clouds have the scores of `cloud_scores` in place of boundary IoU: their points have no neighbours in a picture.
    """
    pairs, answers = records.pairs(truth), records.predictions(predictions)
    units = Units(pairs, answers)
    found, single = scores.Scores(pairs.about["classes"]), scores.Scores(pairs.about["classes"])
    matched = False
    for unit in map(units.__getitem__, range(len(units))):
        found.add(unit.id, unit.group, unit.truth, unit.probability)
        if unit.single is not None:
            single.add(unit.id, unit.group, unit.truth, unit.single)
            matched = True
    rows, summary = found.rows(), found.summary(seed)
    by_unit = _mean_iou(rows)
    if point_clouds.is_cloud(pairs.about):
        rows = [{key: value for key, value in row.items() if not key.startswith("boundary")} for row in rows]
        del summary["boundary_iou"]
        texts = dict(zip(pairs.column("id"), pairs.column("text")))
        each = point_cloud_scores.per_cloud(rows, pairs.about, texts)
        by_unit = list(each.values())
        summary |= point_cloud_scores.summary(each, pairs.about, texts)
    scores.write_table(rows, table)
    summary |= {"oracle": answers.about["oracle"] or matched}
    if matched:
        summary["iou_best_single"] = single.summary(seed)["iou_mean"]
    files.write_json(metrics, summary)
    files.write_text(thresholds, _csv(found.curve()))
    chosen = run_figure.choose(list(enumerate(by_unit)), SHOWN)
    panels = [_panel(units[i], pairs.about) for i in chosen]
    captions = [f"{units[i].id} · IoU {by_unit[i]:.2f}" for i in chosen]
    listed = set().union(*(_seen(units[i]) for i in chosen)) if point_clouds.is_cloud(pairs.about) else frozenset()
    run_figure.write_png(pictures, run_figure.grid(panels, captions, pairs.about["classes"], listed))


@dataclass(frozen=True)
class Unit:
    """What is scored as one picture. truth: (h, w) uint8, 255 where nothing counts; probability: (k, h, w) uint8.

    single: (k, h, w) uint8, the best single masks, and pieces: (h, w) int32, all masks (`matching.Match`), where the
    answer is automatic masks; probability is then their union.
    """

    id: str
    group: str
    image: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    prompts: list[dict]
    single: np.ndarray | None = None
    pieces: np.ndarray | None = None


class Units:
    """The pictures to score: the rows of a container, or, where its tiles overlap, what they were cut from.

    Overlapping tiles are blended first, so that no pixel is counted twice; what no kept tile covers does not count.
    Raises UserError unless there is one prediction for each row, in the same order.
    """

    def __init__(self, pairs: RecordReader, answers: RecordReader):
        self._pairs, self._answers, self._classes = pairs, answers, len(pairs.about["classes"])
        if pairs.column("id") != answers.column("id"):
            raise UserError(f"{answers.path}: not the answers to {pairs.path}; delete it and run `dvc repro`")
        by_source: dict[str, list[int]] = {}
        for index, source in enumerate(pairs.column("source")):
            by_source.setdefault(source, []).append(index)
        places = zip(*(pairs.column(name) for name in ("top", "left", "height", "width")))
        windows = [Window(*place) for place in places]
        whole = any(overlapping([windows[i] for i in indexes]) for indexes in by_source.values())
        self._indexes = list(by_source.values()) if whole else [[i] for i in range(len(pairs))]
        self._whole = whole

    def __len__(self) -> int:
        return len(self._indexes)

    def __getitem__(self, index: int) -> Unit:
        return self._joined(self._indexes[index]) if self._whole else self._row(self._indexes[index][0])

    def _row(self, index: int) -> Unit:
        pair, answer = self._pairs[index], self._answers[index]
        image, truth, asked = records.image(pair), records.mask(pair), json.loads(answer.prompts)
        if not answer.segments:
            return Unit(pair.id, pair.group, image, truth, self._maps(pair, answer), asked)
        try:
            found = mask_matching.match(truth, generated_masks.masks(answer.segments, *truth.shape), self._classes)
        except UserError as problem:
            raise UserError(f"{self._answers.path}: {pair.id}: {problem}") from None
        return Unit(pair.id, pair.group, image, truth, found.union, asked, found.single, found.pieces)

    def _maps(self, pair: records.Record, answer: records.Prediction) -> np.ndarray:
        """The answer's maps, (classes, height, width). Raises UserError if they are of another number or size."""
        wanted = (self._classes, pair.height, pair.width)
        try:
            maps = records.unpack(answer, self._classes)
        except ValueError:  # so many rows are not so many maps
            maps = np.empty(0)
        if maps.shape != wanted:
            what = f"its answer should be {wanted} by classes and picture; delete this file and run `dvc repro`"
            raise UserError(f"{self._answers.path}: {pair.id}: {what}")
        return maps

    def _joined(self, indexes: list[int]) -> Unit:
        first = self._pairs[indexes[0]]
        height, width = first.whole_height, first.whole_width
        blender, single = Blender(height, width, self._classes), Blender(height, width, self._classes)
        pieces = np.zeros((height, width), np.int32)
        image, truth = np.zeros((height, width, 3), np.uint8), np.full((height, width), 255, np.uint8)
        prompts = []
        for index in indexes:
            pair, tile = self._pairs[index], self._row(index)
            window = Window(pair.top, pair.left, pair.height, pair.width)
            blender.add(tile.probability, window)
            window.of_picture(image)[:] = tile.image
            window.of(truth)[:] = tile.truth
            prompts += [_moved(prompt, pair.left, pair.top) for prompt in tile.prompts]
            if tile.single is not None:
                single.add(tile.single, window)
                window.of(pieces)[:] = np.where(tile.pieces > 0, tile.pieces + pieces.max(), 0)
        unit = Unit(first.source, first.group, image, truth, _blended(blender), prompts)
        return replace(unit, single=_blended(single), pieces=pieces) if tile.single is not None else unit


def _blended(blender: Blender) -> np.ndarray:
    values, _ = blender.result()
    return np.round(values).astype(np.uint8)


def _moved(prompt: dict, x: int, y: int) -> dict:
    """A tile's prompt in the pixels of the picture that the tile was cut from."""
    moved = dict(prompt)
    if "points" in prompt:
        moved["points"] = [[px + x, py + y] for px, py in prompt["points"]]
    if "box" in prompt:
        x0, y0, x1, y1 = prompt["box"]
        moved["box"] = [x0 + x, y0 + y, x1 + x, y1 + y]
    return moved


def _mean_iou(rows: list[dict]) -> list[float]:
    """Each picture's IoU, the mean over its classes, in the table's order."""
    by_id: dict[str, list[float]] = {}
    for row in rows:
        by_id.setdefault(row["id"], []).append(row["iou"])
    return [float(np.mean(values)) for values in by_id.values()]


def _seen(unit: Unit) -> set[int]:
    """The classes that truth and answer show; a set of clouds has too many for the legend to name them all."""
    return {*np.unique(unit.truth).tolist(), *np.unique(scores.predicted(unit.probability)).tolist()}


def _panel(unit: Unit, about: dict) -> np.ndarray:
    classes, asked = about["classes"], json.dumps(unit.prompts)
    if point_clouds.is_cloud(about):
        drawing = point_cloud_figure.draw(unit.image)
        truth, probability = drawing.spread(unit.truth), drawing.spread(unit.probability)
        unit = replace(unit, image=drawing.picture, truth=truth, probability=probability)
    return run_figure.panel(unit.image, unit.truth, unit.probability, asked, classes, pieces=unit.pieces)


def _csv(rows: list[dict[str, float]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
