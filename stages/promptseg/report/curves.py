"""Geometry of line charts: places of lines, dots and ticks. The template of the report draws them as SVG."""

import csv
import math
from pathlib import Path

from promptseg.core.errors import UserError

WIDTH, HEIGHT = 320, 190  # of a chart, in units of its view box
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 10, 34  # room for the labels
_DOTS = 12  # lines of more points are drawn without dots, which would hide them


def read(path: Path, columns: tuple[str, ...]) -> dict[str, list[float | None]]:
    """Read columns of numbers from a CSV file.

    Args:
        path: file with a header.
        columns: names of the columns to read.

    Returns:
        By name, the values; None where a field is empty or not finite.

    Raises:
        UserError: the file or a column is missing, or a field is not a number.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, names = list(reader), reader.fieldnames or []
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `dvc repro` makes it") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {error}; delete it and run `dvc repro`") from None
    missing = [name for name in columns if name not in names]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; delete it and run `dvc repro`")
    try:
        return {name: [_number(row[name]) for row in rows] for name in columns}
    except ValueError as error:
        raise UserError(f"{path}: {error}; delete it and run `dvc repro`") from None


def chart(lines: dict[str, tuple[list, list]], x_label: str, top: float | None = None) -> dict:
    """Lay out a line chart.

    Args:
        lines: (xs, ys) by name; points with a None are left out, and so are lines without points.
        x_label: of the x axis; `epoch` has whole numbers as ticks.
        top: end of the y axis, which starts at 0; None: a round number above the highest point.

    Returns:
        What the template needs: x_label; lines: name, points for <polyline>, dots; xticks and yticks: place, label.
    """
    complete = {name: [(x, y) for x, y in zip(*xy, strict=True) if None not in (x, y)] for name, xy in lines.items()}
    complete = {name: points for name, points in complete.items() if points}
    xs = [x for points in complete.values() for x, _ in points] or [0.0]
    highest = max((y for points in complete.values() for _, y in points), default=1.0)
    low, high = min(xs), max(xs)
    step = _step((top or highest) / 4)
    top = top or step * max(1, math.ceil(highest / step - 1e-9))
    across = _step((high - low) / 5) if high > low else 1.0
    if x_label == "epoch":
        across = max(1.0, across)

    def x_place(x: float) -> float:
        fraction = (x - low) / (high - low) if high > low else 0.5
        return round(_LEFT + fraction * (WIDTH - _LEFT - _RIGHT), 1)

    def y_place(y: float) -> float:
        return round(HEIGHT - _BOTTOM - min(max(y / top, 0.0), 1.0) * (HEIGHT - _TOP - _BOTTOM), 1)

    return {
        "x_label": x_label,
        "xticks": [(x_place(x), f"{x:g}") for x in _multiples(across, low, high)],
        "yticks": [(y_place(y), f"{y:g}") for y in _multiples(step, 0.0, top)],
        "lines": [
            {
                "name": name,
                "points": " ".join(f"{x_place(x):g},{y_place(y):g}" for x, y in points),
                "dots": [(x_place(x), y_place(y)) for x, y in points] if len(points) <= _DOTS else [],
            }
            for name, points in complete.items()
        ],
    }


def _number(field: str | None) -> float | None:
    value = float(field) if field else None
    return value if value is not None and math.isfinite(value) else None


def _step(rough: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-6)))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _multiples(step: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 9) for number in range(first, last + 1)]
