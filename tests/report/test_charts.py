"""The bar chart: whatever the user's style, small and equal each time."""

import matplotlib
import numpy as np
import pytest
from PIL import Image
from promptseg.report import canvas, charts
from report_project import Project


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
