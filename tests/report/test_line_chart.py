"""Line charts as SVG."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from promptseg.report.line_chart import HEIGHT, WIDTH, LineChart, svg

EPOCHS = np.arange(1.0, 6.0)


def drawn(chart: LineChart) -> dict[str, list[tuple[int, int]]]:
    """Points of each line by its class."""
    paths = [path for path in ET.fromstring(svg(chart)).iter("path") if not path.get("d").endswith("h16")]
    return {
        path.get("class"): [tuple(map(int, p)) for p in re.findall(r"(\d+) (\d+)", path.get("d"))] for path in paths
    }


def words(chart: LineChart) -> list[str]:
    return [text.text for text in ET.fromstring(svg(chart)).iter("text")]


def test_higher_values_are_higher_up_and_later_ones_further_right():
    lines = drawn(LineChart("a", EPOCHS, {"a": EPOCHS / 5, "b": np.full(5, 0.25)}, 1.0))
    across, up = zip(*lines["line0"], strict=True)
    assert list(across) == sorted(set(across)) and list(up) == sorted(set(up), reverse=True)
    assert len({y for _, y in lines["line1"]}) == 1 and lines["line1"][0][1] > min(up)
    top, bottom = (drawn(LineChart("a", EPOCHS, {"a": np.full(5, end)}, 1.0))["line0"][0][1] for end in (1.0, 0.0))
    rules = [up for _, up in lines["rule"]]
    assert (rules[-1], rules[0]) == (top, bottom), "the grid is where its values are"


def test_points_without_a_value_are_left_out_and_a_line_without_any_is_not_drawn():
    chart = LineChart("a", EPOCHS, {"a": np.array([0.5, np.nan, 0.5, np.inf, 0.5]), "b": EPOCHS * np.nan}, 1.0)
    assert len(drawn(chart)["line0"]) == 3 and "line1" not in drawn(chart) and "b" not in words(chart)


@pytest.mark.parametrize(("count", "has_dots"), [(1, True), (12, True), (13, False)])
def test_few_points_have_dots(count, has_dots):
    lines = drawn(LineChart("a", np.arange(float(count)), {"a": np.full(count, 0.5)}, 1.0))
    assert ("dots line0" in lines) == has_dots and len(lines["line0"]) == count


@pytest.mark.parametrize("values", [[], [np.nan], [0.0], [0.0, 0.0], [1e-9, 3e-9], [1e9], [-1.0, 2.0], [0.3] * 200])
def test_any_values_make_a_chart_with_all_points_inside(values):
    chart = LineChart("a", np.arange(len(values), dtype=float), {"a": np.array(values)})
    points = [point for line in drawn(chart).values() for point in line]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points) and "nan" not in svg(chart)
    assert svg(chart) == svg(chart)


def test_a_chart_is_small():
    lines = {name: np.linspace(0, 1, 19) for name in ("IoU", "precision", "recall")}
    assert len(svg(LineChart("Pooled scores by threshold", np.linspace(0.05, 0.95, 19), lines, 1.0))) < 2500


def test_epochs_are_whole_and_the_chart_says_what_it_shows():
    chart = LineChart("Loss <by> epoch", EPOCHS[:2], {"training": np.array([0.9, 0.25])})
    element = ET.fromstring(svg(chart))
    assert element.get("role") == "img"
    assert element.get("aria-label") == "Loss <by> epoch. training: first 0.9, last 0.25, highest 0.9 at 1"
    assert words(chart)[0] == "Loss <by> epoch" and words(chart)[-1] == "training"
    assert [text.text for text in element.iter("text") if text.get("class") == "x"] == ["1", "2"]
