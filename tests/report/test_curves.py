"""Geometry of line charts, whatever the values."""

import re

import pytest
from promptseg.core.errors import UserError
from promptseg.report import curves


def test_chart_geometry():
    chart = curves.chart({"a": ([1, 2, 3], [0.0, None, 1.0]), "b": ([1, 2, 3], [None] * 3)}, "epoch", 1.0)
    assert [line["name"] for line in chart["lines"]] == ["a"]
    assert chart["lines"][0]["points"] == "38,156 310,10"
    assert [label for _, label in chart["xticks"]] == ["1", "2", "3"]
    assert [label for _, label in chart["yticks"]] == ["0", "0.25", "0.5", "0.75", "1"]


@pytest.mark.parametrize("values", [[], [None], [0.0], [0.0, 0.0], [1e-9, 3e-9], [1e9], [-1.0, 2.0], [0.3] * 200])
def test_any_values_make_a_chart(values):
    chart = curves.chart({"a": (list(range(len(values))), values)}, "epoch")
    assert 2 <= len(chart["yticks"]) <= 8 and len(chart["xticks"]) <= 8
    places = [float(number) for line in chart["lines"] for number in re.split("[ ,]", line["points"])]
    assert all(0 <= place <= curves.WIDTH for place in places)


@pytest.mark.parametrize(("content", "words"), [
    ("", "no column"), ("a\n1\n", "no column 'b'"), ("a,b\n1,x\n", "could not convert"),
    ("a,b\n1,\xff\n", "can't decode"),
])  # fmt: skip
def test_bad_curves_are_named(tmp_path, content, words):
    (tmp_path / "run.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=rf"run\.csv: .*{words}"):
        curves.read(tmp_path / "run.csv", ("a", "b"))
