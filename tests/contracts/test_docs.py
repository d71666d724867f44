"""The pages of docs/ have the numbers of the metrics in git."""

import importlib.util
import json
import re
import subprocess

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def results(root):
    spec = importlib.util.spec_from_file_location("results", root / "docs" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def own_results(root):
    changed = ["git", "status", "--porcelain", "metrics", "plots/leaderboard.csv"]
    if subprocess.run(changed, cwd=root, check=True, capture_output=True).stdout:
        pytest.skip("metrics/ has the results of another study")


@pytest.mark.parametrize(
    "page, write, row", [("PAGE", "updated", "| em-sam-20 |"), ("DVC_PAGE", "shown", "metrics/em-sam-20.json")]
)
def test_the_numbers_of_a_page_are_those_of_the_metrics(own_results, results, page, write, row):
    text = getattr(results, page).read_text("utf-8")
    assert page == "PAGE" or text.count(results.SHOW) == 1
    (line,) = (line for line in text.splitlines() if line.startswith(row))
    for damaged in (text, text.replace(line, line.replace("0.", "1."))):
        assert getattr(results, write)(damaged) == text, "run python docs/results.py"


def test_the_number_of_runs_is_that_of_the_leaderboard(own_results, root):
    runs = len(pd.read_csv(root / "plots" / "leaderboard.csv"))
    for page in ("README.md", "docs/default-study.md", "docs/benchmarks.md"):
        text = " ".join((root / page).read_text("utf-8").split())
        assert re.findall(r"(?:runs|all|study:) (\d+) (?:runs|are in)", text) == [str(runs)], page


def test_the_notebook_shows_the_scores_of_the_metrics(own_results, root):
    iou = pd.read_csv(root / "plots" / "leaderboard.csv").set_index("run")["iou_mean"]
    cells = json.loads((root / "docs" / "examples" / "verdict.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join(line for output in outputs for line in output.get("text", []))
    shown = re.findall(r"(\S+) has IoU ([\d.]+) without training, (\S+) ([\d.]+) with it: a difference of", printed)
    assert len(shown) == 2, "execute it, as docs/own-data.md says"
    for first, low, second, high in shown:
        assert (low, high) == (f"{iou[first]:.3f}", f"{iou[second]:.3f}")
