"""Write the numbers of the default study into docs/default-study.md and docs/dvc.md, or check that they are current.

    python docs/results.py            rewrites the table of runs, and what `dvc metrics show` prints
    python docs/results.py --check    exit code 1 where a page has other numbers

The table has the runs for which the studies report a score, and the best run of each dataset that needs no oracle.
"""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "default-study.md"
DVC_PAGE = ROOT / "docs" / "dvc.md"
SHOW = "$ dvc metrics show metrics/em-*-20.json\n"
HEADER = "| run | training | prompt | IoU, mean (95 %) | Dice, mean | boundary IoU | reported, full scale |\n"


def table(project: Path) -> str:
    """The rows of the table, as Markdown. project: folder with plots/leaderboard.csv and metrics/."""
    runs = pd.read_csv(project / "plots" / "leaderboard.csv", dtype=str, keep_default_na=False)
    runs["score"] = runs["iou_mean"].astype(float)
    best = runs[runs["oracle"] == "False"].groupby("dataset")["score"].idxmax()
    shown = runs[(runs["reported_iou"] != "") | runs.index.isin(best)]
    return "".join(_row(run, project / "metrics" / f"{run['run']}.json") for run in shown.to_dict("records"))


def _row(run: dict[str, str], path: Path) -> str:
    metrics = json.loads(path.read_text())
    cells = [
        run["run"],
        run["training"],
        run["prompt"] + " (oracle)" * (run["oracle"] == "True"),
        "{iou_mean:.3f} ({iou_ci_low:.3f}-{iou_ci_high:.3f})".format(**metrics),
        f"{metrics['dice_mean']:.3f}",
        f"{metrics['boundary_iou']:.3f}" if "boundary_iou" in metrics else "",  # point clouds have none
        f"{float(run['reported_iou']):.3f}" if run["reported_iou"] else "",
    ]
    return f"| {' | '.join(cells)} |\n"


def updated(page: str, project: Path = ROOT) -> str:
    """The text of the page with the numbers of a project."""
    before, header, after = page.partition(HEADER)
    line, rest = after.split("\n", 1)[0], after[after.index("\n\n") :]
    return f"{before}{header}{line}\n{table(project).rstrip()}{rest}"


def shown(page: str, project: Path = ROOT) -> str:
    """The text of the page with what the command after SHOW prints in a project."""
    before, command, after = page.partition(SHOW)
    files = sorted(str(path.relative_to(project)) for path in project.glob(SHOW.split()[-1]))
    words = [sys.executable, "-m", "dvc", "metrics", "show", *files]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in done.stdout.strip().splitlines()]
    return before + command + "\n".join(lines) + after[after.index("\n```") :]


if __name__ == "__main__":
    for path, update in ((PAGE, updated), (DVC_PAGE, shown)):
        text = path.read_text("utf-8")
        new = update(text)
        if sys.argv[1:] == ["--check"]:
            if new != text:
                sys.exit(f"{path}: other numbers than metrics/; run python docs/results.py")
        else:
            path.write_text(new, "utf-8")
