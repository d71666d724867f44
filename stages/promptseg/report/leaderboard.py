"""All runs side by side: the leaderboard as table and chart, and one page with all there is to see."""

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.files import write_text
from promptseg.core.params import FineTune, Params, Run
from promptseg.report import canvas, curves, templates

COLUMNS = (
    "run", "dataset", "model", "training", "prompt", "prompt_source", "data", "checkpoints", "pictures",
    "iou_mean", "iou_low", "iou_high", "iou_pooled", "dice_mean", "dice_pooled", "boundary_iou", "iou_best_single",
    "part_miou", "accuracy_top1", "published",
)  # fmt: skip
ORACLE = ("truth (oracle)", "truth with jitter (oracle)")
_SCORES = COLUMNS[COLUMNS.index("iou_mean") : COLUMNS.index("published")]
# No interval where the test split has a single group; single masks are those of automatic ones; clouds have no boundary
# and one of the last two.
_OPTIONAL = ("iou_low", "iou_high", "boundary_iou", "iou_best_single", "part_miou", "accuracy_top1")
_SPLITS = ("train", "val", "test")
_SKY, _BLUE, _INK = "#56b4e9", "#0072b2", "#282828"


def leaderboard(params: Params, metrics: Path) -> list[dict]:
    """One row a run, keys as in COLUMNS, grouped by dataset and otherwise in the order of params.

    Scores are floats in [0, 1]; those of _OPTIONAL and published are None where there is none.
    Raises UserError, naming the file, where a run's metrics are missing or damaged.
    """
    runs = {**params.zero_shot, **params.finetune}
    rows = [_row(name, run, params, metrics / f"{name}.json") for name, run in runs.items()]
    order = list(params.datasets)
    return sorted(rows, key=lambda row: order.index(row["dataset"]))  # a stable sort keeps params' order within


def write_leaderboard(rows: list[dict], path: Path) -> None:
    """Write the rows as CSV: scores with 4 decimals, empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    write_text(path, text.getvalue())


def write_chart(rows: list[dict], path: Path) -> None:
    """Write mean IoU as a bar a run, grouped by dataset, with its interval and what is published; PNG of < 100 KB."""
    import matplotlib  # it takes its time, and only this function needs it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    heads = [i for i, row in enumerate(rows) if i == 0 or row["dataset"] != rows[i - 1]["dataset"]]
    # each group has room above it for its name
    places = [i + 1.2 * sum(head <= i for head in heads) for i in range(len(rows))]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own style must not change the bytes
        figure = Figure(figsize=(7.2, 0.9 + 0.26 * (max(places) + 1)), dpi=144, layout="constrained")
        axes = figure.add_subplot()
        for place, row in zip(places, rows):
            fill = _SKY if row["training"] == "zero-shot" else _BLUE
            hatch = "////" if row["prompt_source"] in ORACLE else None
            axes.barh(place, row["iou_mean"], 0.72, color=fill, hatch=hatch, edgecolor="white", lw=0)
            if row["iou_low"] is not None:
                axes.plot([row["iou_low"], row["iou_high"]], [place] * 2, color=_INK, lw=1.3, marker="|", ms=5)
            if row["published"] is not None:
                axes.plot(row["published"], place, "D", ms=5, mfc="white", mec=_INK)
            axes.text(1.02, place, f"{row['iou_mean']:.3f}", va="center", fontsize=8, color=_INK)
        for head in heads:
            name, place = rows[head]["dataset"], places[head] - 0.95
            axes.text(0, place, name, va="center", fontsize=10, weight="bold", color=_INK)
        axes.set(xlim=(0, 1), ylim=(max(places) + 0.7, -0.4), xlabel="mean IoU of pictures")
        axes.set_yticks(places, [row["run"] for row in rows], fontsize=8.5)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8.5)
        axes.grid(axis="x", color="#dddddd", lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        marks = [Patch(fc=_SKY), Patch(fc=_BLUE), Patch(fc="#999999", ec="white", hatch="////", lw=0)]
        marks += [Line2D([], [], color=_INK, lw=1.3, marker="|", ms=5)]
        marks += [Line2D([], [], ls="", marker="D", ms=5, mfc="white", mec=_INK)]
        names = ["zero-shot", "fine-tuned", "oracle prompt", "95 % interval", "published"]
        figure.legend(marks, names, loc="outside upper center", ncols=5, fontsize=8.5, frameon=False, handlelength=1.6)
        drawing = FigureCanvasAgg(figure)
        drawing.draw()
        canvas.write_png(path, np.asarray(drawing.buffer_rgba())[..., :3])


def write_html(
    path: Path,
    params: Params,
    rows: list[dict],
    *,
    chart: Path,
    training: Path,
    thresholds: Path,
    pictures: Path,
    datasets: Path,
) -> None:
    """Write one page that needs nothing else: no script, no address, every picture inside.

    rows: of `leaderboard`. chart: the PNG of `write_chart`. training, thresholds: folders of <run>.csv; pictures: of
    <run>.png; datasets: of <dataset>.json, {split: {key: number}} or {key: number}. Raises UserError where one misses.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Autoescape, and a policy in the page that runs no script: prompts and ids are whatever a user typed.
    loader, tidy = FileSystemLoader(Path(templates.__file__).parent), {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, **tidy)
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["plain"] = _plain
    names = list(dict.fromkeys(_each(rows, "dataset")))
    tuned = [row["run"] for row in rows if row["run"] in params.finetune]
    page = environment.get_template("report.html.j2").render(
        groups=[(name, [row for row in rows if row["dataset"] == name]) for name in names],
        best={name: _best(rows, name) for name in names},
        oracle=ORACLE,
        shrunk=_shrunk(params, rows),
        stand_ins=_stand_ins(rows) != [],
        best_single=any(row["iou_best_single"] is not None for row in rows),
        chart=_embedded(chart),
        pictures={row["run"]: _embedded(pictures / f"{row['run']}.png") for row in rows},
        training={name: _training(training / f"{name}.csv") for name in tuned},
        thresholds={row["run"]: _thresholds(thresholds / f"{row['run']}.csv") for row in rows},
        tables=_dataset_table(list(params.datasets), datasets),
        size=(curves.WIDTH, curves.HEIGHT),
    )
    write_text(path, page)


def _row(name: str, run: Run, params: Params, path: Path) -> dict:
    scores = _json(path)
    for key in (*_SCORES, "pictures", "oracle"):
        if key not in scores and key not in _OPTIONAL:
            raise UserError(f"{path}: it has no {key!r}; delete it and run `dvc repro`")
    data = params.datasets[run.dataset].source or params.scale.data
    checkpoints = params.models[run.model].source or params.scale.checkpoints
    # An automatic mask that was matched with the truth has no prompt, and yet needed the truth: evaluate says so.
    source = ORACLE[0] if scores["oracle"] and not run.prompt.oracle else run.prompt.source
    return {
        "run": name,
        "dataset": run.dataset,
        "model": run.model,
        "training": _epochs(run, params) if isinstance(run, FineTune) else "zero-shot",
        "prompt": run.prompt.describe(),
        "prompt_source": source,
        "data": data if data in ("sample", "official") else "folder",
        "checkpoints": checkpoints if checkpoints in ("tiny", "official") else "local",
        "pictures": scores["pictures"],
        **{key: float(scores[key]) if key in scores else None for key in _SCORES},
        "published": run.published,
    }


def _epochs(run: FineTune, params: Params) -> str:
    whole = run.train.epochs
    epochs = min(whole, params.scale.max_epochs or whole)
    return f"{epochs}{f' of {whole}' if epochs < whole else ''} epoch{'s' if whole > 1 else ''}"


def _best(rows: list[dict], dataset: str) -> dict[str, dict | None]:
    """The best row of a dataset without training, fine-tuned, of these two, and with an oracle; None where none is."""
    rows = [row for row in rows if row["dataset"] == dataset]
    honest = [row for row in rows if row["prompt_source"] not in ORACLE]
    kinds = {
        "zero_shot": [row for row in honest if row["training"] == "zero-shot"],
        "finetuned": [row for row in honest if row["training"] != "zero-shot"],
        "honest": honest,
        "oracle": [row for row in rows if row["prompt_source"] in ORACLE],
    }
    return {kind: max(found, key=lambda row: row["iou_mean"], default=None) for kind, found in kinds.items()}


def _stand_ins(rows: list[dict]) -> list[str]:
    """What was run in place of the study's own material, in words."""
    data = ["small drawn stand-ins for the official pictures (data: sample)"] if "sample" in _each(rows, "data") else []
    tiny = "tiny" in _each(rows, "checkpoints")
    return data + (["tiny stand-ins for the released weights (checkpoints: tiny)"] if tiny else [])


def _shrunk(params: Params, rows: list[dict]) -> list[str]:
    """In what this is less than the full study, in words."""
    epochs, images = params.scale.max_epochs, params.scale.max_images
    limits = [f"at most {epochs} epoch{'s' if epochs > 1 else ''} of training"] if epochs else []
    limits += [f"at most {images} picture{'s' if images > 1 else ''} a split"] if images else []
    return _stand_ins(rows) + limits


def _training(path: Path) -> dict[str, dict]:
    columns = curves.read(path, ("epoch", "loss", "val_loss", "val_iou", "val_foreground"))
    epochs = columns["epoch"]
    loss = {"training loss": (epochs, columns["loss"]), "validation loss": (epochs, columns["val_loss"])}
    share = {"validation IoU": (epochs, columns["val_iou"]), "share marked": (epochs, columns["val_foreground"])}
    return {"loss": curves.chart(loss, "epoch"), "iou": curves.chart(share, "epoch", 1.0)}


def _thresholds(path: Path) -> dict:
    columns = curves.read(path, ("threshold", "iou", "precision", "recall"))
    names = {"IoU": "iou", "precision": "precision", "recall": "recall"}
    return curves.chart({name: (columns["threshold"], columns[key]) for name, key in names.items()}, "threshold", 1.0)


def _dataset_table(names: list[str], folder: Path) -> tuple[list[str], list[dict]]:
    """Column names and rows: one row a dataset and split."""
    rows = []
    for name in names:
        values = _json(folder / f"{name}.json")
        splits = {key: value for key, value in values.items() if isinstance(value, dict)}
        whole = {key: value for key, value in values.items() if not isinstance(value, dict)}
        splits = {split: splits[split] for split in sorted(splits, key=lambda split: (*_SPLITS, split).index(split))}
        rows += [{"dataset": name, "split": split} | counts for split, counts in splits.items()]
        rows += [{"dataset": name, "split": "all"} | whole] if whole else []
    return list(dict.fromkeys(key for row in rows for key in row)), rows


def _plain(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else value


def _each(rows: list[dict], key: str) -> list:
    return [row[key] for row in rows]


def _json(path: Path) -> dict:
    def refuse(constant: str):
        raise ValueError(f"{constant} is no score")

    try:
        values = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run `dvc repro`") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: it should be a mapping; delete it and run `dvc repro`")
    return values


def _embedded(path: Path) -> str:
    """A PNG as the address of itself."""
    try:
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
