"""Charts, drawn by matplotlib in its default style, so that a user's own style changes nothing."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from promptseg.report import canvas
from promptseg.report.floors import TRIVIAL
from promptseg.report.leaderboard import CASCADE, ZERO_SHOT

_SKY, _GREEN, _BLUE, _VERMILLION, _INK, _RULE = (
    tuple(value / 255 for value in color)
    for color in (canvas.SKY, canvas.GREEN, canvas.BLUE, canvas.VERMILLION, canvas.INK, (221, 221, 221))
)
_LINES = ((_BLUE, "-"), (_VERMILLION, "--"), (_GREEN, ":"))  # told apart without color, too
_DOTS = 12  # a line of more points is drawn without dots, which would hide it; one of a single point is nothing else


@dataclass(frozen=True)
class LineChart:
    """What a line chart shows.

    Attributes:
        title: above the chart; says what the x axis is.
        x: (n,) values.
        lines: (n,) values by name, at most three lines; points that are not finite are left out.
        top: end of the y axis, which starts at 0; None: just above the highest point.
    """

    title: str
    x: np.ndarray
    lines: dict[str, np.ndarray]
    top: float | None = None


@matplotlib.style.context("default")
def line_charts(charts: list[LineChart]) -> Image.Image:
    """Draw line charts below each other, 384 pixels wide, in a palette of few colors; equal input, equal pixels."""
    pixels = np.concatenate([_draw_lines(chart) for chart in charts])
    colors = np.array([_INK, _RULE, *(color for color, _ in _LINES)]) * 255
    palette = np.concatenate([[canvas.PAPER], colors, (colors + canvas.PAPER) / 2])  # halves are at the edges of lines
    return canvas.with_palette(pixels, palette.round(), 0)


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


class _Frame:
    """A chart without its lines: title, axes, grid, legend. Drawing it takes ten times as long as the lines."""

    def __init__(self, title: str, x: tuple[float, ...], names: tuple[str, ...], top: float):
        figure = Figure(figsize=(3.2, 1.7), dpi=120)
        figure.subplots_adjust(0.11, 0.24, 0.97, 0.87)
        axes = self._axes = figure.add_subplot()
        marker = "o" if len(x) <= _DOTS else None
        for name, (color, style) in zip(names, _LINES, strict=False):
            axes.plot([], [], style, color=color, lw=1.6, marker=marker, ms=3.5, label=name, animated=True)
        axes.set_title(title, fontsize=8, loc="left", weight="bold", color=_INK, pad=4, y=1)
        axes.set_xlim(*_padded(min(x, default=0.0), max(x, default=1.0)))
        axes.set_ylim(0, top)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=all(value % 1 == 0 for value in x)))  # epochs are whole
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=7.5, length=0, labelcolor=_INK)
        axes.grid(axis="y", color=_RULE, lw=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if names:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
            axes.legend(fontsize=7.5, frameon=False, ncols=3, labelcolor=_INK, **place)
        self._drawing = FigureCanvasAgg(figure)
        self._drawing.draw()
        self._empty = self._drawing.copy_from_bbox(figure.bbox)

    def draw(self, lines: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Draw lines of (n,) x and y each: (204, 384, 3) uint8."""
        self._drawing.restore_region(self._empty)
        for line, points in zip(self._axes.lines, lines, strict=True):
            line.set_data(*points)
            self._axes.draw_artist(line)
        return np.array(self._drawing.buffer_rgba())[..., :3]


@functools.lru_cache(maxsize=8)
def _frame(title: str, x: tuple[float, ...], names: tuple[str, ...], top: float) -> _Frame:
    return _Frame(title, x, names, top)


def _draw_lines(chart: LineChart) -> np.ndarray:
    known = {name: np.isfinite(chart.x) & np.isfinite(y) for name, y in chart.lines.items()}
    lines = {name: (chart.x[where], chart.lines[name][where]) for name, where in known.items() if where.any()}
    top = chart.top or max(1.05 * max((float(y.max()) for _, y in lines.values()), default=1.0), 1e-6)
    return _frame(chart.title, tuple(chart.x.tolist()), tuple(lines), top).draw(lines.values())


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range with a twentieth of it on both sides."""
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


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
