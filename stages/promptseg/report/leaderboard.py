"""Leaderboard: one row for each run."""

from pathlib import Path, PurePosixPath

from promptseg.core.errors import UserError
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.study import Study
from promptseg.evaluation import metrics, score_table
from promptseg.report import floors, tables

RAW = PurePosixPath("data/raw")  # where the stage `download` writes
METRIC_COLUMNS = tuple(key.name for key in metrics.keys() if key.column)
COLUMNS = (
    "run", "dataset", "model", "training", "prompt", "prompt_source", "oracle", "data", "checkpoints", "images",
    "groups", "group_unit", "score", "metric", "headline", "floor", "below_floor", *METRIC_COLUMNS, "reported_iou",
)  # fmt: skip
NEEDED = ("images", "groups", "group_unit", "score", "headline", "oracle")  # in the summary of a run
ZERO_SHOT, CASCADE = "zero-shot", "cascade of "  # in the column `training`; CASCADE is followed by the other run


def leaderboard(study: Study, scores: Path) -> list[dict]:
    """Collect one row for each run.

    Args:
        study: params.yaml.
        scores: folder of the tables of scores, <run>.parquet.

    Returns:
        Rows with the keys of COLUMNS, grouped by dataset and otherwise in the order of params.yaml. `headline` is the
        metric by which runs are compared and `metric` its name; metrics are floats in [0, 1], or None where a run has
        none (`evaluation.metrics`); so is reported_iou. `score` is the unit of the scores, `image` or `tile`, `groups`
        how many independent groups of them there are and `group_unit` what a group is; for `floor` and `below_floor`
        see `floors.add_floors`.

    Raises:
        UserError: the table of a run is missing or damaged.
    """
    rows = [_row(name, run, study, scores / f"{name}.parquet") for name, run in study.runs.items()]
    floors.add_floors(study, rows)
    order = list(study.datasets)
    return sorted(rows, key=lambda row: order.index(row["dataset"]))  # a stable sort keeps the order within a dataset


def write_leaderboard(rows: list[dict], path: Path) -> None:
    """Write the rows as CSV: metrics with 4 decimals, empty where a run has none."""
    texts = [{key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    tables.write_rows(path, COLUMNS, texts)


def _row(name: str, run: Run | Cascade, study: Study, path: Path) -> dict:
    summary = score_table.read_summary(path)
    metric = str(summary.get("headline"))
    for key in (*NEEDED, metric):
        if key not in summary:
            raise UserError(f"{path}: no {key!r} in its summary; delete it and run `dvc repro`")
    checkpoints = study.models[run.model].source or study.scale.checkpoints
    return {
        "run": name,
        "dataset": run.dataset,
        "model": run.model,
        "training": _training(run, study),
        "prompt": run.prompt.describe()
        + (f", best of {summary['search']['candidates']}" if "search" in summary else ""),
        "prompt_source": _prompt_source(run, study),
        "oracle": summary["oracle"],
        "data": _data(run.dataset, study),
        "checkpoints": checkpoints if checkpoints in ("tiny", "official") else "local",
        "images": summary["images"],
        "groups": summary["groups"],
        "group_unit": summary["group_unit"],
        "score": summary["score"],
        "metric": metric,
        "headline": float(summary[metric]),
        "floor": None,
        "below_floor": None,
        **{key: float(summary[key]) if key in summary else None for key in METRIC_COLUMNS},
        "reported_iou": run.reported_iou,
    }


def _training(run: Run | Cascade, study: Study) -> str:
    if isinstance(run, Cascade):
        return f"{CASCADE}{run.source}"
    if not isinstance(run, FineTune):
        return ZERO_SHOT
    planned = run.train.epochs
    epochs = min(planned, study.scale.max_epochs or planned)
    share = f", {run.train.train_fraction:.0%} of the groups" if run.train.train_fraction < 1 else ""
    return f"{epochs}{f' of {planned}' if epochs < planned else ''} epoch{'s' if planned > 1 else ''}{share}"


def _prompt_source(run: Run | Cascade, study: Study) -> str:
    if isinstance(run, Cascade):
        source = study.run(run.source).prompt.source  # type: ignore[union-attr]  # no cascade follows a cascade
        return f"{source} (cascade)"
    return run.prompt.source


def _data(dataset: str, study: Study) -> str:
    """`sample` or `official` where the raw files are downloaded, else `folder`."""
    raw = PurePosixPath(study.datasets[dataset].raw)
    if raw.parent != RAW or raw.name not in study.download:
        return "folder"
    source = study.download[raw.name].source or study.scale.data
    return source if source in ("sample", "official") else "folder"
