"""The model card: what the run was measured on, with which scores and limits, and how to load it."""

import math
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from promptseg import models
from promptseg.core import files
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.study import Study
from promptseg.download import checkpoints
from promptseg.evaluation import counts, metrics
from promptseg.export.run import ExportedRun
from promptseg.nn.segmenter import Segmenter
from promptseg.report import leaderboard, verdict_facts, verdict_remarks, ways
from promptseg.report.floors import TRIVIAL

FILE = "README.md"


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
    study = _measured(run)
    row = next(row for row in leaderboard.leaderboard(study, run.folders.scores) if row["run"] == run.name)
    facts = _facts(run, study)
    text = environment.get_template("model_card.md.j2").render(
        header=_header(run, row, library),
        run=run.name,
        dataset=run.entry.dataset,
        library=library,
        table={key: " ".join(str(value).split()).replace("|", "\\|") for key, value in _table(run, row).items()},
        row=row,
        metric=_labels()[row["metric"]],
        metrics=[(label, row[name]) for name, label in _labels().items() if row.get(name) is not None],
        by_class=facts.candidates[0].by_class if facts.candidates else {},
        limits=list(verdict_remarks.remarks(facts, list(facts.candidates))),
        compared=sum(1 for other in run.study.runs.values() if other.dataset == run.entry.dataset),
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


def _facts(run: ExportedRun, study: Study) -> verdict_facts.Facts:
    """What the verdict says of this run alone."""
    from dataclasses import replace

    rows = leaderboard.leaderboard(study, run.folders.scores)
    (facts,) = verdict_facts.collect(study, rows, run.folders.scores, run.folders.summaries)
    return replace(facts, candidates=tuple(c for c in facts.candidates if c.name == run.name))


def _labels() -> dict[str, str]:
    """Label of each metric that is a column of the leaderboard, but for the interval, which stands by the headline."""
    return {key.name: key.label for key in metrics.keys() if key.column and not key.name.startswith("iou_ci_")}


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


def _table(run: ExportedRun, row: dict) -> dict[str, str]:
    """Facts about the run."""
    entry, metadata = run.entry, run.split_metadata
    unit = row["score"]
    empty = int(verdict_summary(run).get("images_empty", 0))
    repository, revision = base_repository(run)
    source = run.study.models[entry.model].source
    base = {
        "tiny": "the built-in tiny stand-in, whose scores say nothing of the released model",
        "official": f"{repository} at {revision}" if repository else "random weights",
        "local": f"files of its user ({Path(source or '').name})",
    }[row["checkpoints"]]
    table = {
        "data": f"{entry.dataset}: {metadata.get('title', entry.dataset)}",
        "licence of the data": metadata.get("licence", "not stated"),
        "split": f"test: {row['images']} {unit}s with ground truth, {empty} without, of {row['groups']} groups "
        f"(a group: {row['group_unit']})",
        "classes": ", ".join(f"{number} {name}" for number, name in enumerate(run.classes, 1)),
        "model": entry.model,
        "base model": base,
        "training": row["training"],
        "prompt": f"{entry.prompt.describe()}; {ways.describe(run.study, run.name, len(run.classes))}",
        "prompt from": row["prompt_source"],
        "threshold": f"{run.threshold:g}",
    }
    if isinstance(entry, FineTune):
        table["training"] += f", {run.training['images']} images; trained: {', '.join(_trained(run))}"
    if isinstance(entry, Cascade):
        table["training"] += f": this model alone; `promptseg export {entry.source}` has the other"
    return table


def verdict_summary(run: ExportedRun) -> dict:
    """The summary of the run's scores."""
    from promptseg.evaluation import score_table

    return score_table.read_summary(run.scores)


def _trained(run: ExportedRun) -> list[str]:
    return run.training["train"].get("trainable", [])


def _load(run: ExportedRun, segmenter: Segmenter) -> dict[str, Any]:
    """What the code that loads the model needs to know."""
    entry = run.entry
    text = entry.prompt.text if isinstance(entry, Run) else None
    level = counts.lowest_value(run.threshold) / 256  # as probabilities are compared in eight bits
    return {
        "model": entry.model,
        "network": type(getattr(segmenter, "network", None)).__name__,
        "phrases": text if isinstance(text, list) else run.classes,
        "prompts": sorted(segmenter.PROMPTS),
        "probability": round(level, 6),
        "logit": round(math.log(level / (1 - level)), 6),
        "size": segmenter.transform.size,
        "single_mask": getattr(segmenter, "single_mask", False),
        "base": base_repository(run)[0] or "BASE",
    }
