"""Write the numbers of the metrics into README.md and docs/, or check that they are current.

    python docs/results.py            rewrites every block between `<!-- numbers: NAME -->` and `<!-- end -->`
    python docs/results.py --check    exit code 1 where a page has other numbers

BLOCKS names the blocks. The default study's numbers come from plots/leaderboard.csv and metrics/, those of real images
from docs/real-images/leaderboard.csv. A sentence that a number no longer supports is an error: `Claim` checks it.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- numbers: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHOWN = "metrics/em-*-20.json"  # what docs/dvc.md prints with `dvc metrics show`


class Runs:
    """A leaderboard: runs by name, and claims about them.

    Args:
        path: CSV file as the report writes it.
    """

    def __init__(self, path: Path):
        self.table = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("run", drop=False)

    def score(self, run: str) -> float:
        """Headline metric of a run."""
        return float(self.table.loc[run, "headline"])

    def scores(self, *runs: str) -> str:
        """Headline metrics of runs, as `0.529`, `0.350 and 0.529` or `0.350, 0.529 and 0.614`."""
        words = [f"{self.score(run):.3f}" for run in runs]
        return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])

    def against(self, higher: str, lower: str) -> str:
        """State that one run scores higher than another, or that their difference is within chance.

        Raises ValueError where the one is lower by more than chance.
        """
        both = f"{self.score(higher):.3f} against {self.score(lower):.3f}"
        if self.score(higher) > self.score(lower):
            return both
        raise ValueError(f"{higher} is not above {lower} ({both}): rewrite the sentence")

    def interval(self, run: str) -> str:
        """The 95 % interval as `(0.300-0.488)`, or nothing where there are too few groups for one."""
        low, high = (self.table.loc[run, f"iou_ci_{end}"] for end in ("low", "high"))
        return f" ({float(low):.3f}-{float(high):.3f})" if low else ""


def claim(holds: bool, sentence: str) -> str:
    """Return the sentence. Raises ValueError where it does not hold."""
    if not holds:
        raise ValueError(f"no longer true: {sentence}")
    return sentence


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def default_runs() -> str:
    """Runs for which the studies report a score, and the best run of each dataset that needs no oracle."""
    runs = Runs(ROOT / "plots" / "leaderboard.csv")
    table = runs.table
    best = table[(table["oracle"] == "False") & (table["model_is_trivial"] == "False")]
    best = best.loc[best["headline"].astype(float).groupby(best["dataset"]).idxmax(), "run"]
    shown = table[(table["reported_iou"] != "") | table["run"].isin(best)]
    rows = []
    for run in shown.to_dict("records"):
        name = run["run"]
        rows.append(
            [
                name, run["training"], run["prompt"] + " (oracle)" * (run["oracle"] == "True"),
                f"{runs.score(name):.3f}{runs.interval(name)}", run["groups"], _number(run["floor"]),
                _number(run["boundary_iou"]), _number(run["reported_iou"]),
            ]
        )  # fmt: skip
    header = ["run", "training", "prompt", "IoU (95 %)", "groups", "floor", "boundary IoU", "reported, full scale"]
    return markdown(header, rows)


def metrics_show() -> str:
    """What `dvc metrics show` prints for some runs, in a code block with the command."""
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(SHOWN))
    words = [sys.executable, "-m", "dvc", "metrics", "show", *files]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return "```console\n$ dvc metrics show " + SHOWN + "\n" + "\n".join(lines) + "\n```\n"


def real_table(chosen: tuple[str, ...] | None = None) -> str:
    """The runs on real images, or some of them."""
    runs = Runs(ROOT / "docs" / "real-images" / "leaderboard.csv")
    rows = []
    for run in runs.table.to_dict("records"):
        if chosen is None or run["run"] in chosen:
            rows.append(
                [
                    run["dataset"], run["model"], run["training"], run["prompt"],
                    f"**{runs.score(run['run']):.3f}**{runs.interval(run['run'])}",
                    f"{run['images']} / {run['groups']}",
                    _number(run["floor"]), _number(run["iou_pooled"]), _number(run["boundary_iou"]),
                ]
            )  # fmt: skip
    header = [
        "dataset", "model", "training", "prompt", "IoU (95 %)", "images / groups", "floor", "pooled", "boundary IoU",
    ]  # fmt: skip
    return markdown(header, rows)


def _number(text: str) -> str:
    return f"{float(text):.3f}" if text else ""


BLOCKS: dict[str, Callable[[], str]] = {
    "default-runs": default_runs,
    "metrics-show": metrics_show,
    "real-images": real_table,
}


def updated(page: str) -> str:
    """The text of a page with current numbers. Raises KeyError for a block that is not in BLOCKS."""
    return MARKED.sub(lambda found: found[1] + BLOCKS[found[2]]() + found[4], page)


if __name__ == "__main__":
    for path in PAGES:
        text = path.read_text("utf-8")
        new = updated(text)
        if sys.argv[1:] == ["--check"]:
            if new != text:
                sys.exit(f"{path}: other numbers than the metrics; run python docs/results.py")
        else:
            path.write_text(new, "utf-8")
