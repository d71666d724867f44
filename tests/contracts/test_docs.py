"""README.md and docs/ have the numbers of the metrics in git."""

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
    changed = ["git", "status", "--porcelain", "metrics", "plots/leaderboard.csv", "plots/gains.csv"]
    if subprocess.run(changed, cwd=root, check=True, capture_output=True).stdout:
        pytest.skip("metrics/ has the results of another study")


def test_every_block_is_on_a_page_once(results):
    found = [name for page in results.PAGES for _, name, _, _ in results.MARKED.findall(page.read_text("utf-8"))]
    assert sorted(found) == sorted(results.BLOCKS)


def test_the_numbers_of_each_page_are_those_of_the_metrics(own_results, results):
    for page in results.PAGES:
        text = page.read_text("utf-8")
        damaged = results.MARKED.sub(lambda block: block[1] + block[3].replace("0.", "1.") + block[4], text)
        for each in (text, damaged):
            assert results.updated(each) == text, f"{page}: run python docs/results.py"


def test_a_sentence_that_the_numbers_no_longer_support_is_an_error(results):
    runs = results.Runs(results.ROOT / "plots")
    low, high = sorted(("em-whole", "em-sam-box"), key=runs.score)
    assert runs.above(high, low) == f"{runs.score(high):.3f} against {runs.score(low):.3f}"
    with pytest.raises(ValueError, match="no longer true"):
        runs.above(low, high)


def test_the_number_of_runs_is_that_of_the_leaderboard(own_results, root):
    runs = len(pd.read_csv(root / "plots" / "leaderboard.csv"))
    for page in ("README.md", "docs/default-study.md", "docs/benchmarks.md"):
        text = " ".join((root / page).read_text("utf-8").split())
        assert re.findall(r"(?:runs|all|study:) (\d+) (?:runs|are in)", text) == [str(runs)], page


def test_the_notebook_shows_the_gains_of_the_report(own_results, root):
    gains = pd.read_csv(root / "plots" / "gains.csv").query("dataset == 'covid'")
    cells = json.loads((root / "docs" / "examples" / "verdict.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "".join(line for output in outputs for line in output.get("text", []))
    shown = re.findall(r"(\S+): ([\d.]+), (\S+): ([\d.]+), a gain of ([+-][\d.]+)", printed)
    assert len(shown) == len(gains) > 0, "execute it, as docs/own-data.md says"
    for (before, low, after, high, gain), row in zip(shown, gains.itertuples(), strict=True):
        assert (before, after) == (row.before, row.after.split()[0])
        assert (low, high, gain) == (f"{row.headline_before:.3f}", f"{row.headline_after:.3f}", f"{row.gain:+.3f}")


def test_no_page_has_the_marks_of_an_unfinished_merge(root):
    pages = [*root.glob("*.md"), *root.glob("docs/*.md"), root / "params.yaml", root / "dvc.yaml"]
    for page in pages:
        assert not re.search(r"^(<{7} |={7}$|>{7} )", page.read_text("utf-8"), re.MULTILINE), page
