"""The model card: what the run was measured on, with which scores and limits, and how to load it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from promptseg import models
from promptseg.core import files
from promptseg.core.params import Dataset
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.study import Study
from promptseg.download import checkpoints
from promptseg.evaluation import counts, metrics, score_table
from promptseg.export.run import ExportedRun
from promptseg.nn.sam2_segmenter import Sam2Segmenter
from promptseg.nn.segmenter import Segmenter
from promptseg.report import leaderboard, verdict_facts, verdict_remarks, ways
from promptseg.report.floors import TRIVIAL

FILE = "README.md"
INTERVAL = ("iou_ci_low", "iou_ci_high")  # stand by the headline


def write(run: ExportedRun, segmenter: Segmenter, library: str, folder: Path) -> None:
    """Write the card of a run.

    Args:
        run: the run.
        segmenter: its model.
        library: that loads it: transformers, peft, promptseg or onnx.
        folder: of the card.

    Raises:
        UserError: a file with scores is missing or damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    study, scores = _measured(run), run.folders.scores
    rows = leaderboard.leaderboard(study, scores)
    row = next(row for row in rows if row["run"] == run.name)
    summary = score_table.read_summary(run.scores)
    (facts,) = verdict_facts.collect(study, rows, scores, run.folders.summaries)
    facts = replace(facts, candidates=tuple(found for found in facts.candidates if found.name == run.name))
    labels = {key.name: key.label for key in metrics.keys()}
    text = environment.get_template("model_card.md.j2").render(
        header=_header(run, row, library),
        run=run.name,
        dataset=run.entry.dataset,
        library=library,
        table={key: _cell(value) for key, value in _table(run, row, summary).items()},
        row=row,
        metric=labels[row["metric"]],
        metrics=[(labels[name], value) for name, value in summary.items() if name in labels and name not in INTERVAL],
        by_class={_cell(name): value for found in facts.candidates for name, value in found.by_class.items()},
        limits=list(verdict_remarks.remarks(facts, list(facts.candidates))),
        precision=segmenter.encoder_precision,
        compared=sum(other.dataset == run.entry.dataset for other in run.study.runs.values()),
        load=_load(run, segmenter),
    )
    files.write_text(folder / FILE, text)


def base_repository(run: ExportedRun) -> tuple[str | None, str | None]:
    """Repository and commit on the hub of the model before training; (None, None) where it is from elsewhere."""
    settings = run.study.models[run.entry.model]
    if (settings.source or run.study.scale.checkpoints) != "official":
        return None, None
    return checkpoints.official(models.load(run.entry.model), settings)


def _measured(run: ExportedRun) -> Study:
    """The study of this run, of what it refines, and of the floors of its dataset that have scores."""
    entry = run.entry
    floors = [
        name for name, other in run.study.runs.items()
        if other.model in TRIVIAL and other.dataset == entry.dataset
        and (run.folders.scores / f"{name}.parquet").is_file()
    ]  # fmt: skip
    return run.study.only([run.name, *floors, *([entry.source] if isinstance(entry, Cascade) else [])])


def _header(run: ExportedRun, row: dict, library: str) -> str:
    """Metadata of the card, as the hub reads it."""
    result = EvalResult(
        task_type="image-segmentation",
        dataset_type=run.entry.dataset,
        dataset_name=run.split_metadata.get("title", run.entry.dataset),
        dataset_split="test",
        metric_type=row["metric"],
        metric_value=round(row["headline"], 4),
    )
    return ModelCardData(
        model_name=run.name,
        base_model=base_repository(run)[0],
        library_name=library,
        pipeline_tag="image-segmentation",
        tags=["promptseg", run.entry.model],
        eval_results=[result],
    ).to_yaml()


def _table(run: ExportedRun, row: dict, summary: dict) -> dict[str, str]:
    """Facts about the run. summary: of its scores."""
    entry, metadata, unit = run.entry, run.split_metadata, row["score"]
    repository, revision = base_repository(run)
    source = run.study.models[entry.model].source
    base = {
        "tiny": "the built-in tiny stand-in, whose scores say nothing of the released model",
        "official": f"{repository} at {revision or 'its newest commit'}" if repository else "random weights",
        "local": f"files of its user ({Path(source or '').name})",
    }[row["checkpoints"]]
    empty = summary.get("images_empty", 0)
    table = {
        "data": f"{entry.dataset}: {metadata.get('title', entry.dataset)}",
        "licence of the data": metadata.get("licence", "not stated"),
        "split": f"test: {row['images']} {unit}s with ground truth, {empty} without, of {row['groups']} groups "
        f"(a group: {row['group_unit']})",
        "images": _preparation(run.study.datasets[entry.dataset]),
        "classes": ", ".join(f"{number} {name}" for number, name in enumerate(run.classes, 1)),
        "model": entry.model,
        "base model": base,
        "training": row["training"],
        "prompt": f"{entry.prompt.describe()}; {ways.describe(run.study, run.name, len(run.classes))}",
        "prompt from": row["prompt_source"],
        "threshold": f"{run.threshold:g}",
    }
    if isinstance(entry, FineTune):
        trained = ", ".join(run.training["train"]["trainable"])
        table["training"] += f", {run.training['images']} images; trained: {trained}"
    if isinstance(entry, Cascade):
        table["training"] += f": this model alone; `promptseg export {entry.source}` has the other"
    return table


def _preparation(settings: Dataset) -> str:
    """How the images were prepared, as those that the model is used on have to be."""
    resized = f"longer side {settings.resize} pixels" if settings.resize else "as they are"
    tiles = f", in tiles of {settings.tile} pixels that share {settings.overlap}" if settings.tile else ""
    return resized + tiles


def _cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _load(run: ExportedRun, segmenter: Segmenter) -> dict[str, Any]:
    """What the code that loads the model needs to know."""
    entry = run.entry
    network = type(getattr(segmenter, "network", None)).__name__
    text = entry.prompt.text if isinstance(entry, Run) else None
    level = counts.lowest_value(run.threshold) / 256  # as probabilities are compared in eight bits
    return {
        "model": entry.model,
        "network": network,
        "processor": "Sam2Processor" if isinstance(segmenter, Sam2Segmenter) else network.replace("Model", "Processor"),
        "phrases": text if isinstance(text, list) else run.classes,
        "prompts": sorted(segmenter.PROMPTS),
        "is_shown": isinstance(entry, Run) and bool(entry.prompt.support),
        "probability": round(level, 6),
        "logit": round(math.log(level / (1 - level)), 6),
        "size": segmenter.transform.size,
        "single_mask": getattr(segmenter, "single_mask", False),
        "base": base_repository(run)[0] or "BASE",
    }
