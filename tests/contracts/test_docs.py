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


def skip_with_other_results(root):
    changed = ["git", "status", "--porcelain", "metrics", "plots/leaderboard.csv"]
    if subprocess.run(changed, cwd=root, check=True, capture_output=True).stdout:
        pytest.skip("metrics/ has the results of another study")


def test_the_table_of_runs_is_that_of_the_metrics(root, results):
    skip_with_other_results(root)
    text = (root / "docs" / "default-study.md").read_text("utf-8")
    assert results.updated(text) == text, "run python docs/results.py"


def test_the_printed_metrics_are_those_of_the_metrics(root, results):
    skip_with_other_results(root)
    text = results.DVC_PAGE.read_text("utf-8")
    assert text.count(results.SHOW) == 1
    assert results.shown(text) == text, "run python docs/results.py"
    row = next(line for line in text.splitlines() if line.startswith("metrics/em-sam-20.json"))
    assert results.shown(text.replace(row, row.replace("0.", "1."))) == text


def test_the_number_of_runs_is_that_of_the_leaderboard(root):
    skip_with_other_results(root)
    runs = len(pd.read_csv(root / "plots" / "leaderboard.csv"))
    for page in ("README.md", "docs/default-study.md", "docs/benchmarks.md"):
        text = " ".join((root / page).read_text("utf-8").split())
        assert re.findall(r"(?:runs|all|study:) (\d+) (?:runs|are in)", text) == [str(runs)], page


def test_a_changed_number_is_seen(root, results):
    text = (root / "docs" / "default-study.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| em-sam-20 |"))
    assert results.updated(text.replace(row, row.replace("0.4", "0.5"))) == text


def test_the_notebook_shows_the_scores_of_the_metrics(root):
    skip_with_other_results(root)
    iou = pd.read_csv(root / "plots" / "leaderboard.csv").set_index("run")["iou_mean"]
    cells = json.loads((root / "docs" / "examples" / "verdict.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join(line for output in outputs for line in output.get("text", []))
    shown = re.findall(r"(\S+) has IoU ([\d.]+) without training, (\S+) ([\d.]+) with it: a difference of", printed)
    assert len(shown) == 2, "execute it, as docs/own-data.md says"
    for first, low, second, high in shown:
        assert (low, high) == (f"{iou[first]:.3f}", f"{iou[second]:.3f}")
