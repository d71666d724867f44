"""Score the predictions of a run against the ground truth."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.data import point_clouds, records
from promptseg.data.records import RecordReader
from promptseg.evaluation import metrics, score_table
from promptseg.evaluation.point_cloud_scores import PointCloudScoring
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from promptseg.evaluation.scored_images import ScoredImages
from promptseg.evaluation.scoring import ImageScoring
from promptseg.report import run_figure

SHOWN = 3  # images in the figure
THRESHOLDS, IMAGES = "thresholds.csv", "images.png"


@dataclass(frozen=True)
class Outputs:
    """Files that `evaluate` writes.

    Attributes:
        metrics: JSON of the headline metrics.
        scores: Parquet, a row for each image and class; its metadata holds the full summary (`score_table`).
        plots: folder for thresholds.csv (IoU, precision and recall by threshold) and images.png (the worst, the median
            and the best image with their predictions).
    """

    metrics: Path
    scores: Path
    plots: Path


def evaluate(split: Path, predictions: Path, outputs: Outputs) -> None:
    """Score a run and write its metrics, scores and figure.

    Automatic masks are matched with the ground truth, so their scores are oracle scores: those of the union of the
    masks that lie inside each class, and as `iou_best_single` the mean IoU of the best single mask for each object.

    Args:
        split: Parquet shards of the test split.
        predictions: Parquet file of the run's predictions; `seed` in its metadata is that of the bootstrap.
        outputs: files to write.

    Raises:
        UserError: an input is missing or damaged, the predictions are of another split, or no pixel counts.
    """
    reader, predicted = records.open_split(split), records.open_predictions(predictions)
    for key in ("seed", "oracle"):
        if key not in predicted.metadata:
            raise UserError(f"{predictions}: no {key} in its metadata; delete it and run `dvc repro`")
    classes = reader.metadata["classes"]
    images, scoring = ScoredImages(reader, predicted), _scoring(reader)
    scores, best_single, automatic, ids = RunScores(classes), RunScores(classes), False, []
    for image in images:
        ids.append(image.id)
        scores.add(image.id, image.group, image.target, image.probability)
        if image.best_single is not None:
            best_single.add(image.id, image.group, image.target, image.best_single)
            automatic = True
    rows = scores.rows(scoring.task)
    image_scores = scoring.image_scores(rows)
    summary = summarize(
        Evaluation(
            scores=scores,
            seed=predicted.metadata["seed"],
            oracle=predicted.metadata["oracle"] or automatic,
            best_single=best_single if automatic else None,
            task=scoring.task,
            image_scores=image_scores,
            categories=scoring.categories,
        )
    )
    score_table.write_table(outputs.scores, rows, summary)
    files.write_json(outputs.metrics, metrics.headline(summary))
    scored = [(index, image_scores[id]) for index, id in enumerate(ids) if id in image_scores]
    with files.replacing(outputs.plots) as aside:
        aside.mkdir()
        files.write_text(aside / THRESHOLDS, _csv(scores.histogram.curve()))
        _write_figure(aside / IMAGES, images, scoring, scored, classes)


def _scoring(split: RecordReader) -> ImageScoring:
    if point_clouds.is_point_cloud(split.metadata):
        return PointCloudScoring(split.metadata, dict(zip(split.column("id"), split.column("text"), strict=True)))
    return ImageScoring()


def _write_figure(
    path: Path, images: ScoredImages, scoring: ImageScoring, scores: list[tuple[int, float]], classes: list[str]
) -> None:
    """Draw some of the images, given by index and score."""
    chosen, by_index = run_figure.choose(scores, SHOWN), dict(scores)
    panels = [run_figure.panel(scoring.render(images[i]), classes) for i in chosen]
    captions = [f"{images[i].id} · IoU {by_index[i]:.2f}" for i in chosen]
    legend_classes = scoring.legend_classes(images[i] for i in chosen)
    run_figure.write_png(path, run_figure.grid(panels, captions, classes, legend_classes))


def _csv(rows: list[dict[str, float]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
