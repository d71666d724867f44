"""Bar chart of all runs, drawn by matplotlib in its default style, so that a user's own style changes nothing."""

from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from promptseg.report import canvas
from promptseg.report.floors import TRIVIAL
from promptseg.report.leaderboard import CASCADE, ZERO_SHOT

_SKY, _GREEN, _BLUE, _VERMILLION, _INK, _RULE = (
    tuple(value / 255 for value in color)
    for color in (canvas.SKY, canvas.GREEN, canvas.BLUE, canvas.VERMILLION, canvas.INK, (221, 221, 221))
)


@matplotlib.style.context("default")
def write_bar_chart(rows: list[dict], path: Path) -> None:
    """Draw the headline of each run as a bar, with its interval, its floor and the reported IoU.

    Args:
        rows: of `leaderboard.leaderboard`.
        path: PNG file to write.
    """
    heads = [i for i, row in enumerate(rows) if i == 0 or row["dataset"] != rows[i - 1]["dataset"]]
    # Each group has room above it for the name of its dataset.
    places = [i + 1.2 * sum(head <= i for head in heads) for i in range(len(rows))]
    figure = Figure(figsize=(7.2, 0.9 + 0.26 * (max(places) + 1)), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    for place, row in zip(places, rows, strict=True):
        hatch = "////" if row["oracle"] else None
        axes.barh(place, row["headline"], 0.72, color=_bar_color(row), hatch=hatch, edgecolor="white", lw=0)
        if row["iou_ci_low"] is not None:
            axes.plot([row["iou_ci_low"], row["iou_ci_high"]], [place] * 2, color=_INK, lw=1.3, marker="|", ms=5)
        if row["floor"] is not None:
            axes.plot([row["floor"]] * 2, [place - 0.36, place + 0.36], color=_VERMILLION, lw=1.3)
        if row["reported_iou"] is not None:
            axes.plot(row["reported_iou"], place, "D", ms=5, mfc="white", mec=_INK)
        axes.text(1.02, place, f"{row['headline']:.3f}", va="center", fontsize=8, color=_INK)
    for head in heads:
        name, place = rows[head]["dataset"], places[head] - 0.95
        axes.text(0, place, name, va="center", fontsize=10, weight="bold", color=_INK)
    axes.set(xlim=(0, 1), ylim=(max(places) + 0.7, -0.4), xlabel="IoU: mean over images, with several classes mIoU")
    axes.set_yticks(places, [row["run"] for row in rows], fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.grid(axis="x", color=_RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    legend = {
        "zero-shot": Patch(fc=_SKY),
        "cascade": Patch(fc=_GREEN),
        "fine-tuned": Patch(fc=_BLUE),
        "oracle prompt": Patch(fc="#999999", ec="white", hatch="////", lw=0),
        "trivial": Patch(fc=_RULE),
        "floor": Line2D([], [], color=_VERMILLION, lw=1.3),
        "95 % interval": Line2D([], [], color=_INK, lw=1.3, marker="|", ms=5),
        "reported": Line2D([], [], ls="", marker="D", ms=5, mfc="white", mec=_INK),
    }
    figure.legend(
        legend.values(), legend.keys(), loc="outside upper center", ncols=8, fontsize=8, frameon=False,
        handlelength=1.3, columnspacing=1.0,
    )  # fmt: skip
    canvas.write_png(path, _pixels(figure))


def _bar_color(row: dict) -> tuple[float, ...]:
    if row["model"] in TRIVIAL:
        return _RULE
    if row["training"].startswith(CASCADE):
        return _GREEN
    return _SKY if row["training"] == ZERO_SHOT else _BLUE


def _pixels(figure: Figure) -> np.ndarray:
    drawing = FigureCanvasAgg(figure)
    drawing.draw()
    return np.asarray(drawing.buffer_rgba())[..., :3]
