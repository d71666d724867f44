"""Score the predictions of a run against the ground truth."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from promptseg.core import files
from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import point_clouds, records
from promptseg.data.image_io import IGNORED
from promptseg.data.records import RecordReader
from promptseg.evaluation import histogram, metrics, score_table, sweep
from promptseg.evaluation.point_cloud_scores import PointCloudScoring
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.evaluation.scored_images import ScoredImage, ScoredImages
from promptseg.evaluation.scoring import ImageScoring
from promptseg.report import run_figure

SHOWN = 3  # images in the figure
MAX_THREADS = 8  # each holds an image with a probability map for each class
THRESHOLDS, IMAGES, SWEEP = "thresholds.csv", "images.png", "sweep.csv"


@dataclass(frozen=True)
class Outputs:
    """Files that `evaluate` writes.

    Attributes:
        metrics: JSON of the headline metrics.
        scores: Parquet, a row for each image and class; its metadata holds the full summary (`score_table`).
        plots: folder for thresholds.csv (IoU, precision and recall by threshold), images.png (the worst, the median
            and the best image with their predictions) and, of a run in several steps, sweep.csv (IoU by step).
    """

    metrics: Path
    scores: Path
    plots: Path


def evaluate(split: Path, predictions: Path, outputs: Outputs) -> None:
    """Score a run and write its metrics, scores and figure.

    Automatic masks are matched with the ground truth, so their scores are oracle scores: those of the union of the
    masks that lie inside each class, and as `iou_best_single` the mean over true segments of the IoU of the best mask.

    Args:
        split: Parquet shards of the test split.
        predictions: Parquet file of the run's predictions; `threshold` in its metadata is the one that was chosen on
            the validation split.
        outputs: files to write.

    Raises:
        UserError: an input is missing or damaged, the predictions are of another split, or no pixel counts.
    """
    reader, predicted = records.open_split(split), records.open_predictions(predictions)
    if "oracle" not in predicted.metadata:
        raise UserError(f"{predictions}: no oracle in its metadata; delete it and run `dvc repro`")
    classes = reader.metadata["classes"]
    images, scoring = ScoredImages(reader, predicted), _scoring(reader)
    scores, best_single, prompt_counts = RunScores(classes), [], []
    with ThreadPool(min(Ranks().cores, MAX_THREADS)) as pool:
        for counted in pool.map_ordered(lambda index: _count(images[index], classes), range(len(images))):
            scores.include(counted.scores)
            if counted.prompts is not None:
                prompt_counts.append(counted.prompts)
            if counted.best_single is not None:
                best_single.append(counted.best_single)
    rows = scores.rows(scoring.task)
    image_scores = scoring.image_scores(rows)
    swept = sweep.read(reader, predicted, images.indices)
    summary = summarize(
        Evaluation(
            scores=scores,
            oracle=predicted.metadata["oracle"] or bool(best_single),
            threshold=_threshold(predicted),
            best_single=np.concatenate(best_single) if best_single else None,
            task=scoring.task,
            image_scores=image_scores,
            categories=scoring.categories,
            prompts_per_image=float(np.mean(prompt_counts)) if _is_prompted(predicted) else None,
            absent_phrase_area=predicted.metadata.get("absent_phrase_area"),
            sweep=swept,
            split=reader.metadata,
            search=predicted.metadata.get("search"),
            # The first seed is that of these predictions.
            seed_scores=[
                (seed, scores.headline() if score is None else score)
                for seed, score in predicted.metadata.get("seed_scores", [])
            ],
        )
    )
    score_table.write_table(outputs.scores, rows, summary)
    files.write_json(outputs.metrics, metrics.headline(summary))
    with files.replacing(outputs.plots) as aside:
        aside.mkdir()
        files.write_text(aside / THRESHOLDS, _csv(scores.histogram.curve()))
        if swept is not None:
            files.write_text(aside / SWEEP, _csv(swept.curve()))
        _write_figure(aside / IMAGES, images, scoring, [image_scores.get(id) for id in images.ids], classes)


class _CountedImage(NamedTuple):
    """What is kept of one image: its scores, its clicks and boxes if it has ground truth, and its best masks."""

    scores: RunScores
    prompts: int | None
    best_single: np.ndarray | None


def _count(image: ScoredImage, classes: list[str]) -> _CountedImage:
    scores = RunScores(classes)
    scores.add(image.id, image.group, image.target, image.probability)
    has_truth = (image.target % IGNORED > 0).any()
    return _CountedImage(scores, sum(p.effort for p in image.prompts) if has_truth else None, image.best_single)


def _threshold(predictions: RecordReader) -> float | None:
    """The threshold that was chosen on the validation split; None: none was."""
    threshold = predictions.metadata.get("threshold")
    if threshold is not None and threshold not in histogram.THRESHOLDS:
        raise UserError(f"{predictions.path}: threshold {threshold} is no multiple of 0.05; predict again")
    return threshold


def _is_prompted(predictions: RecordReader) -> bool:
    """Whether somebody would have to give the prompts; those of a cascade are made from another run's predictions."""
    return predictions.metadata["oracle"] and "by" not in predictions.metadata.get("prompt", {})


def _scoring(split: RecordReader) -> ImageScoring:
    if point_clouds.is_point_cloud(split.metadata):
        return PointCloudScoring(split.metadata, dict(zip(split.column("id"), split.column("text"), strict=True)))
    return ImageScoring()


def _write_figure(
    path: Path, images: ScoredImages, scoring: ImageScoring, scores: list[float | None], classes: list[str]
) -> None:
    """Draw some of the images; scores: of all, None where there is no ground truth."""
    chosen = run_figure.choose(scores, SHOWN)
    shown = [scoring.render(images[i]) for i in chosen]
    captions = [run_figure.caption(image, scores[i]) for i, image in zip(chosen, shown, strict=True)]
    legend_classes = scoring.legend_classes(images[i] for i in chosen)
    panels = [run_figure.panel(image, classes) for image in shown]
    run_figure.write_png(path, run_figure.grid(panels, captions, classes, legend_classes))


def _csv(rows: Sequence[Mapping[str, float | None]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
