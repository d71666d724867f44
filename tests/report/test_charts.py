"""Charts: whatever the values and the user's style, small and equal each time."""

import matplotlib
import numpy as np
import pytest
from PIL import Image
from promptseg.report import canvas, charts
from promptseg.report.charts import LineChart
from report_project import Project

EPOCHS = np.arange(1.0, 6.0)


@pytest.fixture
def rows(tmp_path) -> list[dict]:
    return Project(tmp_path / "project").rows()


@pytest.fixture
def other_style(monkeypatch):
    """Switches to a user's own style."""

    def switch():
        for key, value in {"font.size": 30.0, "axes.facecolor": "black", "lines.linewidth": 9.0}.items():
            monkeypatch.setitem(matplotlib.rcParams, key, value)

    return switch


def colored(image: Image.Image, color: tuple) -> np.ndarray:
    return (np.asarray(image.convert("RGB")) == color).all(axis=-1)


def test_lines_are_drawn_in_their_colors_where_they_belong():
    image = charts.line_charts([LineChart("IoU by epoch", EPOCHS, {"a": np.full(5, 0.75), "b": np.full(5, 0.25)}, 1.0)])
    high, low = (np.nonzero(colored(image, color)[:150])[0] for color in (canvas.BLUE, canvas.VERMILLION))
    assert len(high) > 300 and len(low) > 200 and high.max() < low.min()
    assert not colored(image, canvas.GREEN).any() and colored(image, canvas.PAPER).mean() > 0.8


def test_points_without_a_value_are_left_out_and_a_single_one_is_a_dot():
    lines = np.full(5, 0.5), np.array([0.5, np.nan, 0.5, np.nan, 0.5])
    full, gaps = (charts.line_charts([LineChart("a", EPOCHS, {"a": y, "b": y * np.nan}, 1.0)]) for y in lines)
    assert colored(gaps, canvas.BLUE).sum() > 0.7 * colored(full, canvas.BLUE).sum()  # the line goes on
    assert not colored(full, canvas.VERMILLION).any()
    dot = charts.line_charts([LineChart("a", EPOCHS[:1], {"a": lines[0][:1]}, 1.0)])
    assert colored(dot, canvas.BLUE)[:150].any()


@pytest.mark.parametrize("values", [[], [np.nan], [0.0], [0.0, 0.0], [1e-9, 3e-9], [1e9], [-1.0, 2.0], [0.3] * 200])
def test_any_values_make_a_chart(values):
    chart = LineChart("a", np.arange(len(values), dtype=float), {"a": np.array(values)})
    assert charts.line_charts([chart] * 2).size == (384, 2 * charts.line_charts([chart]).height)


def test_line_charts_are_equal_each_time_and_of_few_colors(other_style):
    chart = LineChart("a", EPOCHS, {"a": EPOCHS / 5, "b": EPOCHS / 9, "c": EPOCHS / 20})
    first = charts.line_charts([chart])
    charts._frame.cache_clear()
    other_style()
    assert charts.line_charts([chart]).tobytes() == first.tobytes() and len(first.getcolors()) <= 11
    assert matplotlib.rcParams["font.size"] == 30.0


def test_bar_chart_of_many_runs_is_small_legible_and_equal_each_time(rows, tmp_path, other_style):
    many = rows + [rows[0] | {"run": f"model-{n}", "dataset": f"set-{n // 5}"} for n in range(30)]
    charts.write_bar_chart(many, tmp_path / "a.png")
    other_style()
    charts.write_bar_chart(many, tmp_path / "b.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes() and len(content) < 100_000
    assert matplotlib.rcParams["font.size"] == 30.0
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 900 and image.info.keys() <= {"transparency"}


def test_bars_are_as_long_as_the_headline_in_the_color_of_their_training(rows, tmp_path):
    trainings = {"zero-shot": canvas.SKY, "cascade of a": canvas.GREEN, "3 epochs": canvas.BLUE}
    ious = (0.2, 0.4, 0.8)
    given = [rows[0] | {"training": name, "headline": iou} for name, iou in zip(trainings, ious, strict=True)]
    charts.write_bar_chart(given, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        lengths = [np.ptp(np.nonzero(colored(image, color)[60:])[1]) for color in trainings.values()]
    assert np.array(lengths) / lengths[2] == pytest.approx(np.array(ious) / 0.8, abs=0.02)
