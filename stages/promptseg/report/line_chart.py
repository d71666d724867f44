"""Line charts of the page, as SVG in its HTML: small, sharp, and in its colors, also the dark ones."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 312, 24, 132  # of the lines
_LEGEND = 162  # y of its text
_CHARACTER = 6  # pixels: at most, of the legend's font, on average
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


def svg(chart: LineChart) -> Markup:
    """Draw a line chart as an SVG element that needs the classes of the page's style sheet; equal input, equal text."""
    known = {name: np.isfinite(chart.x) & np.isfinite(y) for name, y in chart.lines.items()}
    lines = {name: (chart.x[where], chart.lines[name][where]) for name, where in known.items() if where.any()}
    top = chart.top or max(1.05 * max((float(y.max()) for _, y in lines.values()), default=1.0), 1e-6)
    low, high = (float(function(chart.x)) if len(chart.x) else 0.0 for function in (np.min, np.max))
    margin = 0.03 * (high - low) or 0.5
    low, high = low - margin, high + margin

    def place(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int]]:
        across = _LEFT + (x - low) / (high - low) * (_RIGHT - _LEFT)
        up = _BOTTOM - np.clip(y / top, 0, 1) * (_BOTTOM - _TOP)
        return list(zip(np.rint(across).astype(int).tolist(), np.rint(up).astype(int).tolist(), strict=True))

    is_whole = bool((chart.x % 1 == 0).all())  # epochs
    parts = [Markup('<text class="title" y="10">{}</text>').format(chart.title)]
    ticks = _ticks(0.0, top, 4)
    rules = [up for _, up in place(np.zeros(len(ticks)), ticks)]
    parts.append(Markup('<path class="rule" d="{}"/>').format("".join(f"M{_LEFT} {up}H{_RIGHT}" for up in rules)))
    for value, up in zip(ticks.tolist(), rules, strict=True):
        parts.append(Markup('<text class="y" x="{}" y="{}">{}</text>').format(_LEFT - 5, up + 3, f"{value:.3g}"))
    ticks = _ticks(low, high, 5, is_whole)
    for value, (across, _) in zip(ticks.tolist(), place(ticks, ticks), strict=True):
        parts.append(Markup('<text class="x" x="{}" y="{}">{}</text>').format(across, _BOTTOM + 13, f"{value:.3g}"))
    across = _LEFT
    for number, (name, (x, y)) in enumerate(lines.items()):
        points = place(x, y)
        path = "M" + "L".join(f"{a} {b}" for a, b in points)
        if len(points) <= _DOTS:  # a line of no length with round ends is a dot
            dots = "".join(f"M{a} {b}h0" for a, b in points)
            parts.append(Markup('<path class="dots line{}" d="{}"/>').format(number, dots))
        parts.append(Markup('<path class="line{}" d="{}"/>').format(number, path))
        parts.append(Markup('<path class="line{}" d="M{} {}h16"/>').format(number, across, _LEGEND - 3))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(across + 20, _LEGEND, name))
        across += 34 + _CHARACTER * len(name)
    label = Markup("{}. {}").format(chart.title, _words(lines))
    attributes = Markup('class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}"').format(WIDTH, HEIGHT, label)
    return Markup("<svg {}>{}</svg>").format(attributes, Markup("").join(parts))


def _ticks(low: float, high: float, count: int, is_whole: bool = False) -> np.ndarray:
    """At most count + 1 round values from low to high."""
    ticks = np.asarray(MaxNLocator(count, integer=is_whole).tick_values(low, high))
    return ticks[(ticks >= low) & (ticks <= high)]


def _words(lines: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """What a reader who does not see the lines should know of them."""
    return "; ".join(
        f"{name}: first {y[0]:.3g}, last {y[-1]:.3g}, highest {y.max():.3g} at {x[y.argmax()]:.3g}"
        for name, (x, y) in lines.items()
    )
