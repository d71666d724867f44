"""Report: one HTML page with the verdicts, two leaderboards, and for each dataset its runs, figures and settings."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from promptseg.core.distributed import Ranks
from promptseg.core.files import write_text
from promptseg.core.runs import Cascade
from promptseg.core.study import Study
from promptseg.core.thread_pool import ThreadPool
from promptseg.evaluation import metrics, score_table
from promptseg.report import before_after, embedded, line_chart, page_settings, searches, tables, templates
from promptseg.report.before_after import Folders
from promptseg.report.floors import TRIVIAL
from promptseg.report.folds import fold_means
from promptseg.report.leaderboard import CASCADE, ZERO_SHOT
from promptseg.report.line_chart import LineChart
from promptseg.report.verdict import Verdict

INTERVAL = ("iou_ci_low", "iou_ci_high")  # of the headline, below which it stands
FIRST_COLUMNS = ("iou_pooled",)  # metrics that the leaderboards show before one asks
COST = "prompts_per_image"  # of a run that is prompted from the ground truth
FIGURE_SCALE = 0.55  # of the figures of runs; the full ones are beside the page


@dataclass(frozen=True)
class Sources:
    """What the page shows.

    Attributes:
        plots: folder with training/<run>.csv of fine-tuned runs, runs/<run>/thresholds.csv, runs/<run>/images.png and,
            of runs in several steps, runs/<run>/sweep.csv.
        summaries: folder of <dataset>.json, {split: {key: number}}.
        gains: of `gains.gains`.
        folders: of what the runs were tested on, predicted and scored.
    """

    plots: Path
    summaries: Path
    gains: list[dict]
    folders: Folders


def write_page(path: Path, study: Study, rows: list[dict], sources: Sources, verdicts: Sequence[Verdict]) -> None:
    """Write a page that needs no other file and no network: no address, all images embedded.

    Args:
        path: HTML file to write.
        study: params.yaml.
        rows: of `leaderboard.leaderboard`.
        sources: what the page shows.
        verdicts: at most one a dataset, in the order of the page.

    Raises:
        UserError: a file is missing or damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Autoescape, and a policy in the page that runs its own script alone: prompts and ids are whatever a user typed.
    folder = Path(templates.__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["difference"] = lambda value: f"{value:+.3f}".replace("-", "−")
    environment.filters["plain"] = _plain
    environment.filters["prompts"] = lambda value: "–" if value is None else f"{value:.1f}"
    best = {name: _best(study, found) for name, found in _by_dataset(study, rows).items()}
    script = (folder / "script.js").read_text("utf-8")
    names = [row["run"] for row in rows if row["model"] not in TRIVIAL]  # what a floor predicts needs no figure
    figures = [sources.plots / "runs" / name / "images.png" for name in names]
    with ThreadPool(Ranks().cores) as pool:
        images = dict(zip(names, pool.map_ordered(lambda file: embedded.figure(file, FIGURE_SCALE), figures)))
    page = environment.get_template("report.html.j2").render(
        style=Markup((folder / "style.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        verdicts=verdicts,
        boards=_boards(rows),
        by_dataset=_by_dataset(study, rows),
        best=best,
        best_of={kind: {name: found[kind] for name, found in best.items()} for kind in ("independent", "oracle")},
        models=sorted({row["model"] for row in rows}),
        columns=_columns(rows),
        first_columns=FIRST_COLUMNS,
        cost=COST,
        facts=[key for key in metrics.keys() if key.name not in (*INTERVAL, COST)],
        trivial=TRIVIAL,
        kinds={row["run"]: _kind(row) for row in rows},
        gains=sources.gains,
        pairs=before_after.pairs(sources.gains, verdicts, sources.folders),
        view_titles=before_after.TITLES,
        folds=fold_means(study, rows),
        dice_losses=_dice_losses(study, sources.plots),
        searches=_searches(rows, study, sources.folders.scores),
        limits=_limits(study, rows),
        stand_ins=bool(_stand_ins(rows)),
        tiny_models=_tiny_models(rows),
        best_single=any(row.get("iou_best_single") is not None for row in rows),
        images=images,
        same_as=_same_as(images),
        curves={name: _curves(sources.plots, name, study) for name in names},
        settings=page_settings.texts(study),
        data=_data(study, sources.summaries),
    )
    write_text(path, page)


def _by_dataset(study: Study, rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of each dataset that has any."""
    found = {name: [row for row in rows if row["dataset"] == name] for name in study.datasets}
    return {name: group for name, group in found.items() if group}


def _boards(rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of the two leaderboards, which never rank together: by dataset, the best first."""
    order = list(dict.fromkeys(row["dataset"] for row in rows))
    ranked = sorted(rows, key=lambda row: (order.index(row["dataset"]), -row["headline"]))
    return {
        "prompted": [row for row in ranked if row["oracle"]],
        "unprompted": [row for row in ranked if not row["oracle"]],
    }


def _kind(row: dict) -> str:
    """What a run is, as the style sheet colors its bar."""
    if row["model"] in TRIVIAL:
        return "trivial"
    if row["training"].startswith(CASCADE):
        return "cascade"
    return "zero-shot" if row["training"] == ZERO_SHOT else "fine-tuned"


def _columns(rows: list[dict]) -> list[metrics.Key]:
    """Metrics that are columns of the leaderboards, those first that are always shown; only what some run has."""
    keys = [key for key in metrics.keys() if key.column and key.name not in (*INTERVAL, COST)]
    keys = [key for key in keys if any(row.get(key.name) is not None for row in rows)]
    return sorted(keys, key=lambda key: key.name not in FIRST_COLUMNS)


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
    """What replaces official data, and official weights where no run has any, in words."""
    words = []
    if any(row["data"] == "sample" for row in rows):
        words.append("small generated stand-ins for the official images (data: sample)")
    sources = {row["checkpoints"] for row in rows}
    if "tiny" in sources and "local" not in sources:
        words.append("tiny stand-ins for the released weights (checkpoints: tiny)")
    return words


def _tiny_models(rows: list[dict]) -> list[str]:
    """The models with tiny stand-ins, where others have released weights."""
    tiny = sorted({row["model"] for row in rows if row["checkpoints"] == "tiny"})
    return tiny if any(row["checkpoints"] == "local" for row in rows) else []


def _limits(study: Study, rows: list[dict]) -> list[str]:
    """In what these runs are smaller than the full study, in words."""
    epochs, images = study.scale.max_epochs, study.scale.max_images
    limits = [f"at most {epochs} epoch{'s' if epochs > 1 else ''} of training"] if epochs else []
    limits += [f"at most {images} image{'s' if images > 1 else ''} a split"] if images else []
    return _stand_ins(rows) + limits


def _same_as(images: dict[str, str]) -> dict[str, str]:
    """For each run the first one with the same image, as trainings that a lower limit of epochs makes one have."""
    first: dict[str, str] = {}
    return {name: first.setdefault(image, name) for name, image in images.items()}


def _curves(plots: Path, run: str, study: Study) -> list[Markup]:
    """Loss and validation of a fine-tuned run by epoch, IoU by step, and scores of any run by threshold."""
    charts = []
    if run in study.finetune:
        names = ("epoch", "loss", "val_loss", "val_iou", "val_foreground")
        epoch, loss, val_loss, iou, foreground = tables.read_columns(plots / "training" / f"{run}.csv", names).values()
        charts += [
            LineChart("Loss by epoch", epoch, {"training": loss, "validation": val_loss}),
            LineChart("Validation by epoch", epoch, {"IoU": iou, "predicted foreground": foreground}, 1.0),
        ]
    settings = study.run(run)
    if not isinstance(settings, Cascade) and settings.prompt.sweep is not None:
        columns = ("step", "iou", "iou_ci_low", "iou_ci_high")
        step, *values = tables.read_columns(plots / "runs" / run / "sweep.csv", columns).values()
        named = dict(zip(("IoU", "95 % from", "to"), values, strict=True))
        charts.append(LineChart(f"IoU by {settings.prompt.sweep.by}", step, named, 1.0))
    scores = tables.read_columns(plots / "runs" / run / "thresholds.csv", ("threshold", "iou", "precision", "recall"))
    threshold, iou, precision, recall = scores.values()
    lines = {"IoU": iou, "precision": precision, "recall": recall}
    charts.append(LineChart("Pooled scores by threshold", threshold, lines, 1.0))
    return [line_chart.svg(chart) for chart in charts]


def _dice_losses(study: Study, plots: Path) -> dict[str, tuple[float, float]]:
    """Dice loss on the training images in the last epoch, and the reported one, of runs for which one is reported."""
    found = {}
    for name, run in study.finetune.items():
        if run.reported_dice_loss is not None:
            losses = tables.read_columns(plots / "training" / f"{name}.csv", ("dice_loss",))["dice_loss"]
            found[name] = float(losses[-1]), run.reported_dice_loss
    return found


def _searches(rows: list[dict], study: Study, scores: Path) -> dict[str, tuple[str, list[dict]]]:
    """What is said of the search of each run that has one, and all candidates."""
    found = {row["run"]: row["headline"] for row in rows if row["run"] in study.searched}
    about = {name: score_table.read_summary(scores / f"{name}.parquet")["search"] for name in found}
    return {name: (searches.sentence(name, about[name], found[name]), about[name]["ranking"]) for name in found}


def _data(study: Study, summaries: Path) -> dict[str, tuple[list[str], list[dict]]]:
    """Columns and rows of the summary of each dataset."""
    found = {name: tables.dataset_table([name], summaries) for name in study.datasets}
    return {name: (columns[1:], rows) for name, (columns, rows) in found.items()}


def _plain(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else value
