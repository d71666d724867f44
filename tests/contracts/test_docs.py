"""The pages of docs/ have the numbers of the metrics in git."""

import importlib.util
import subprocess

import pytest


@pytest.fixture(scope="module")
def results(root):
    spec = importlib.util.spec_from_file_location("results", root / "docs" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_runs_is_that_of_the_metrics(root, results):
    changed = ["git", "status", "--porcelain", "metrics", "plots/leaderboard.csv"]
    if subprocess.run(changed, cwd=root, check=True, capture_output=True).stdout:
        pytest.skip("metrics/ has the results of another study")
    text = (root / "docs" / "default-study.md").read_text("utf-8")
    assert results.updated(text) == text, "run python docs/results.py"


def test_a_changed_number_is_seen(root, results):
    text = (root / "docs" / "default-study.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| em-sam-20 |"))
    assert results.updated(text.replace(row, row.replace("0.4", "0.5"))) == text
