"""Leaderboard: one row for each run, as a table and as a chart."""

import csv
import io
from pathlib import Path, PurePosixPath

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.files import write_text
from promptseg.core.runs import Cascade, FineTune, Run
from promptseg.core.study import Study
from promptseg.evaluation import metrics, score_table
from promptseg.report import canvas

RAW = PurePosixPath("data/raw")  # where the stage `download` writes
METRIC_COLUMNS = tuple(key.name for key in metrics.keys() if key.column)
COLUMNS = (
    "run", "dataset", "model", "training", "prompt", "prompt_source", "oracle", "data", "checkpoints", "images",
    *METRIC_COLUMNS, "reported_iou",
)  # fmt: skip
ZERO_SHOT, CASCADE = "zero-shot", "cascade of "  # in the column `training`; CASCADE is followed by the other run
_SKY, _GREEN, _BLUE, _INK = "#56b4e9", "#009e73", "#0072b2", "#282828"


def leaderboard(study: Study, scores: Path) -> list[dict]:
    """Collect one row for each run.

    Args:
        study: params.yaml.
        scores: folder of the tables of scores, <run>.parquet.

    Returns:
        Rows with the keys of COLUMNS, grouped by dataset and otherwise in the order of params.yaml. Metrics are
        floats in [0, 1], or None where a run has none (`evaluation.metrics`); so is reported_iou.

    Raises:
        UserError: the table of a run is missing or damaged.
    """
    rows = [_row(name, run, study, scores / f"{name}.parquet") for name, run in study.runs.items()]
    order = list(study.datasets)
    return sorted(rows, key=lambda row: order.index(row["dataset"]))  # a stable sort keeps the order within a dataset


def write_leaderboard(rows: list[dict], path: Path) -> None:
    """Write the rows as CSV: metrics with 4 decimals, empty where a run has none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    write_text(path, text.getvalue())


def write_chart(rows: list[dict], path: Path) -> None:
    """Draw the mean IoU of each run as a bar, with its interval and the reported IoU; PNG of less than 100 KB."""
    import matplotlib  # slow to import, and only needed here
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    heads = [i for i, row in enumerate(rows) if i == 0 or row["dataset"] != rows[i - 1]["dataset"]]
    # Each group has room above it for the name of its dataset.
    places = [i + 1.2 * sum(head <= i for head in heads) for i in range(len(rows))]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own style must not change the bytes
        figure = Figure(figsize=(7.2, 0.9 + 0.26 * (max(places) + 1)), dpi=144, layout="constrained")
        axes = figure.add_subplot()
        for place, row in zip(places, rows, strict=True):
            hatch = "////" if row["oracle"] else None
            axes.barh(place, row["iou_mean"], 0.72, color=_color(row), hatch=hatch, edgecolor="white", lw=0)
            if row["iou_ci_low"] is not None:
                axes.plot([row["iou_ci_low"], row["iou_ci_high"]], [place] * 2, color=_INK, lw=1.3, marker="|", ms=5)
            if row["reported_iou"] is not None:
                axes.plot(row["reported_iou"], place, "D", ms=5, mfc="white", mec=_INK)
            axes.text(1.02, place, f"{row['iou_mean']:.3f}", va="center", fontsize=8, color=_INK)
        for head in heads:
            name, place = rows[head]["dataset"], places[head] - 0.95
            axes.text(0, place, name, va="center", fontsize=10, weight="bold", color=_INK)
        axes.set(xlim=(0, 1), ylim=(max(places) + 0.7, -0.4), xlabel="mean IoU over images")
        axes.set_yticks(places, [row["run"] for row in rows], fontsize=8.5)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8.5)
        axes.grid(axis="x", color="#dddddd", lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        legend = {
            "zero-shot": Patch(fc=_SKY),
            "cascade": Patch(fc=_GREEN),
            "fine-tuned": Patch(fc=_BLUE),
            "oracle prompt": Patch(fc="#999999", ec="white", hatch="////", lw=0),
            "95 % interval": Line2D([], [], color=_INK, lw=1.3, marker="|", ms=5),
            "reported": Line2D([], [], ls="", marker="D", ms=5, mfc="white", mec=_INK),
        }
        figure.legend(
            legend.values(), legend.keys(), loc="outside upper center", ncols=6, fontsize=8.5, frameon=False,
            handlelength=1.6, columnspacing=1.2,
        )  # fmt: skip
        drawing = FigureCanvasAgg(figure)
        drawing.draw()
        canvas.write_png(path, np.asarray(drawing.buffer_rgba())[..., :3])


def _row(name: str, run: Run | Cascade, study: Study, path: Path) -> dict:
    summary = score_table.read_summary(path)
    for key in ("iou_mean", "images", "oracle"):
        if key not in summary:
            raise UserError(f"{path}: no {key!r} in its summary; delete it and run `dvc repro`")
    checkpoints = study.models[run.model].source or study.scale.checkpoints
    return {
        "run": name,
        "dataset": run.dataset,
        "model": run.model,
        "training": _training(run, study),
        "prompt": run.prompt.describe(),
        "prompt_source": _prompt_source(run, study),
        "oracle": summary["oracle"],
        "data": _data(run.dataset, study),
        "checkpoints": checkpoints if checkpoints in ("tiny", "official") else "local",
        "images": summary["images"],
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
    return f"{epochs}{f' of {planned}' if epochs < planned else ''} epoch{'s' if planned > 1 else ''}"


def _prompt_source(run: Run | Cascade, study: Study) -> str:
    if isinstance(run, Cascade):
        return f"{study.run(run.source).prompt.source} (cascade)"
    return run.prompt.source


def _data(dataset: str, study: Study) -> str:
    """`sample` or `official` where the raw files are downloaded, else `folder`."""
    raw = PurePosixPath(study.datasets[dataset].raw)
    if raw.parent != RAW or raw.name not in study.download:
        return "folder"
    source = study.download[raw.name].source or study.scale.data
    return source if source in ("sample", "official") else "folder"


def _color(row: dict) -> str:
    if row["training"].startswith(CASCADE):
        return _GREEN
    return _SKY if row["training"] == ZERO_SHOT else _BLUE
