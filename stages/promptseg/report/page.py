"""Report: one HTML page with the leaderboard, the chart and the figures of all runs."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from promptseg.core.distributed import Ranks
from promptseg.core.errors import UserError
from promptseg.core.files import write_text
from promptseg.core.runs import Cascade
from promptseg.core.study import Study
from promptseg.core.thread_pool import ThreadPool
from promptseg.evaluation import metrics
from promptseg.report import tables, templates
from promptseg.report.charts import LineChart, line_charts
from promptseg.report.floors import TRIVIAL
from promptseg.report.folds import fold_means

INTERVAL = ("iou_ci_low", "iou_ci_high")  # of the headline, below which it stands
FIGURE_SCALE = 0.55  # of the figures of runs; the full ones are beside the page


@dataclass(frozen=True)
class Sources:
    """What the page shows.

    Attributes:
        chart: PNG of `charts.write_bar_chart`.
        plots: folder with training/<run>.csv of fine-tuned runs, runs/<run>/thresholds.csv and runs/<run>/images.png.
        summaries: folder of <dataset>.json, {split: {key: number}}.
        gains: of `gains.gains`.
    """

    chart: Path
    plots: Path
    summaries: Path
    gains: list[dict]


def write_page(path: Path, study: Study, rows: list[dict], sources: Sources) -> None:
    """Write a page that needs no other file and no network: no script, no address, all images embedded.

    Args:
        path: HTML file to write.
        study: params.yaml.
        rows: of `leaderboard.leaderboard`.
        sources: what the page shows.

    Raises:
        UserError: a file is missing or damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Autoescape, and a policy in the page that runs no script: prompts and ids are whatever a user typed.
    loader = FileSystemLoader(Path(templates.__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["difference"] = lambda value: f"{value:+.3f}".replace("-", "−")
    environment.filters["plain"] = _plain
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    names = [row["run"] for row in rows if row["model"] not in TRIVIAL]  # what a floor predicts needs no figure
    figures = [sources.plots / "runs" / name / "images.png" for name in names]
    with ThreadPool(Ranks().cores) as pool:
        images = dict(zip(names, pool.map_ordered(_figure, figures), strict=True))
    page = environment.get_template("report.html.j2").render(
        groups=[(name, [row for row in rows if row["dataset"] == name]) for name in datasets],
        best={name: _best(study, [row for row in rows if row["dataset"] == name]) for name in datasets},
        columns=_columns(rows),
        facts=[key for key in metrics.keys() if key.headline and key.name not in INTERVAL],
        trivial=TRIVIAL,
        gains=sources.gains,
        folds=fold_means(study, rows),
        dice_losses=_dice_losses(study, sources.plots),
        limits=_limits(study, rows),
        stand_ins=bool(_stand_ins(rows)),
        best_single=any(row.get("iou_best_single") is not None for row in rows),
        chart=_data_uri(_open(sources.chart), lossless=True),
        count=len(rows),
        images=images,
        curves={name: _curves(sources.plots, name, name in study.finetune) for name in names},
        finetuned=study.finetune,
        datasets=tables.dataset_table(list(study.datasets), sources.summaries),
    )
    write_text(path, page)


def _columns(rows: list[dict]) -> list[metrics.Key]:
    """Metrics that are columns of the leaderboard: those that at least one run has."""
    keys = [key for key in metrics.keys() if key.column and key.name not in INTERVAL]
    return [key for key in keys if any(row[key.name] is not None for row in rows)]


def _best(study: Study, rows: list[dict]) -> dict[str, dict | None]:
    """The best run of a dataset by kind: without training, fine-tuned, of these two, with an oracle; None: no such run.

    A cascade is of the kind of the run that it refines. Trivial runs are of none.
    """
    rows = [row for row in rows if row["model"] not in TRIVIAL]
    sources = {name: run.source if isinstance(run, Cascade) else name for name, run in study.runs.items()}
    independent = [row for row in rows if not row["oracle"]]
    kinds = {
        "zero_shot": [row for row in independent if sources[row["run"]] not in study.finetune],
        "finetuned": [row for row in independent if sources[row["run"]] in study.finetune],
        "independent": independent,
        "oracle": [row for row in rows if row["oracle"]],
    }
    return {kind: max(found, key=lambda row: row["headline"], default=None) for kind, found in kinds.items()}


def _stand_ins(rows: list[dict]) -> list[str]:
    """What replaces official data and weights, in words."""
    words = []
    if any(row["data"] == "sample" for row in rows):
        words.append("small generated stand-ins for the official images (data: sample)")
    if any(row["checkpoints"] == "tiny" for row in rows):
        words.append("tiny stand-ins for the released weights (checkpoints: tiny)")
    return words


def _limits(study: Study, rows: list[dict]) -> list[str]:
    """In what these runs are smaller than the full study, in words."""
    epochs, images = study.scale.max_epochs, study.scale.max_images
    limits = [f"at most {epochs} epoch{'s' if epochs > 1 else ''} of training"] if epochs else []
    limits += [f"at most {images} image{'s' if images > 1 else ''} a split"] if images else []
    return _stand_ins(rows) + limits


def _curves(plots: Path, run: str, is_trained: bool) -> str:
    """Loss and validation of a fine-tuned run by epoch, and scores of any run by threshold, as a data URI."""
    charts = []
    if is_trained:
        names = ("epoch", "loss", "val_loss", "val_iou", "val_foreground")
        epoch, loss, val_loss, iou, foreground = tables.read_columns(plots / "training" / f"{run}.csv", names).values()
        charts += [
            LineChart("Loss by epoch", epoch, {"training": loss, "validation": val_loss}),
            LineChart("Validation by epoch", epoch, {"IoU": iou, "predicted foreground": foreground}, 1.0),
        ]
    scores = tables.read_columns(plots / "runs" / run / "thresholds.csv", ("threshold", "iou", "precision", "recall"))
    threshold, iou, precision, recall = scores.values()
    lines = {"IoU": iou, "precision": precision, "recall": recall}
    charts.append(LineChart("Pooled scores by threshold", threshold, lines, 1.0))
    return _data_uri(line_charts(charts), lossless=True)


def _dice_losses(study: Study, plots: Path) -> dict[str, tuple[float, float]]:
    """Dice loss on the training images in the last epoch, and the reported one, of runs for which one is reported."""
    found = {}
    for name, run in study.finetune.items():
        if run.reported_dice_loss is not None:
            losses = tables.read_columns(plots / "training" / f"{name}.csv", ("dice_loss",))["dice_loss"]
            found[name] = float(losses[-1]), run.reported_dice_loss
    return found


def _plain(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else value


def _figure(path: Path) -> str:
    """The figure of a run, reduced to a quarter of its bytes, as a data URI."""
    image = _open(path)
    size = [round(side * FIGURE_SCALE) for side in image.size]
    return _data_uri(image.resize(size, Image.Resampling.LANCZOS), quality=42, method=2)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (OSError, SyntaxError) as error:  # SyntaxError: Pillow's for a broken PNG
        raise UserError(f"{path}: damaged; delete it and run `dvc repro`") from error


def _data_uri(image: Image.Image, **settings: int) -> str:
    """An image as WebP. settings: of Pillow's encoder."""
    data = io.BytesIO()
    image.convert("RGB").save(data, "WEBP", **settings)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
