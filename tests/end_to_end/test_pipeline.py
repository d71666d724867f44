"""The pipeline as its users type it: DVC's own commands, in a git repository of its own, on a small study."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pandas as pd
import pytest
import yaml

STUDY = {
    "seed": 0,
    "scale": {"data": "sample", "checkpoints": "tiny", "max_epochs": 2, "max_images": 4},
    "download": {"em": {"reader": "em", "source": None}, "covid": {"reader": "covid", "source": None}},
    "datasets": {
        "em": {"raw": "data/raw/em", "reader": "em", "tile": 256, "score": "tile"},
        "covid": {"raw": "data/raw/covid", "reader": "covid", "classes": ["infection"]},
    },
    "models": {"sam": {"source": None}, "unet": {"source": None}},
    "zero_shot": {
        "em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1, "sampling": "random"}},
        "covid-sam": {"dataset": "covid", "model": "sam", "prompt": {"box": True}},
    },
    "cascade": {"em-unet-sam": {"dataset": "em", "from": "em-unet", "model": "sam"}},
    "finetune": {
        "em-unet": {
            "dataset": "em",
            "model": "unet",
            "prompt": {},
            "train": {"epochs": 1, "batch_size": 2, "keep": "last"},
        },
    },
}
RUNS = ["covid-sam", "em-sam", "em-unet", "em-unet-sam"]
ORACLE = {"covid-sam", "em-sam"}

pytestmark = pytest.mark.xdist_group("pipeline")  # the runs share one repository and half a minute of work each


def run(folder: Path, *command: str, code: int = 0) -> str:
    """What a command prints, stdout and stderr; asserts its exit code."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900)
    out = done.stdout + done.stderr
    assert done.returncode == code, f"{' '.join(command)}: exit {done.returncode}\n{out[-3000:]}"
    return out


def ran(out: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", out)


def new_project(root: Path, folder: Path) -> Path:
    """The project's tracked files in a repository of their own, with another params.yaml."""
    for name in run(root, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (root / name).is_file() and not name.startswith(("metrics/", "plots/", "data/")) and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
    (folder / "params.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "someone@example.org")
    run(folder, "git", "config", "user.name", "Someone")
    commit(folder, "study")
    return folder


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", message)


def change(folder: Path, key: str, value: object) -> None:
    """Replace the value at `a.b.c` of params.yaml."""
    study = yaml.safe_load((folder / "params.yaml").read_text())
    *path, last = key.split(".")
    reduce(lambda section, part: section[part], path, study)[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """A small study, run once from nothing and committed."""
    folder = new_project(root, tmp_path_factory.mktemp("study"))
    out = run(folder, "dvc", "repro")
    assert len(ran(out)) == 1 + 2 + 2 + 2 + 2 + 1 + 1 + 1 + 4 + 1
    commit(folder, "results")
    return folder


@pytest.fixture
def clean(project):
    """The study as it was committed, whatever the test does to it."""
    yield project
    run(project, "git", "reset", "--hard", "--quiet")
    run(project, "git", "clean", "-fdq")
    run(project, "dvc", "checkout", "--quiet")


def test_repro_leaves_every_result_and_a_second_one_runs_nothing(clean):
    assert sorted(path.stem for path in (clean / "metrics").glob("*.json")) == RUNS
    for name in RUNS:
        metrics = json.loads((clean / f"metrics/{name}.json").read_text())
        assert 0 <= metrics["iou_mean"] <= 1 and len(metrics) <= 8
        scored = pd.read_parquet(clean / f"data/scores/{name}.parquet")["iou"].notna()
        assert scored.sum() == 4 and len(scored) <= 8  # with at most as many images without ground truth
        assert (clean / f"plots/runs/{name}/images.png").stat().st_size > 1000
        assert len(pd.read_csv(clean / f"plots/runs/{name}/thresholds.csv")) == 19
    board = pd.read_csv(clean / "plots/leaderboard.csv")
    assert sorted(board.run) == RUNS and set(board.data) == {"sample"} and set(board.checkpoints) == {"tiny"}
    assert {run for run, source in zip(board.run, board.prompt_source) if "oracle" in source} == ORACLE
    assert all(name in (clean / "plots/report.html").read_text() for name in RUNS)
    assert run(clean, "git", "status", "--porcelain") == ""
    assert ran(run(clean, "dvc", "repro")) == []


def test_the_notebook_comes_to_a_verdict(clean):
    """Its cells, with another dataset."""
    cells = json.loads((clean / "docs/examples/verdict.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert code.count('DATASET = "covid"') == 1
    (clean / "docs/examples/verdict.py").write_text(code.replace('DATASET = "covid"', 'DATASET = "em"'))
    printed = run(clean, "env", "MPLBACKEND=agg", "python", "docs/examples/verdict.py").splitlines()
    assert printed == ["No run was fine-tuned whose model and prompt were tried before."]


def test_the_repository_is_small(root):
    """The built-in checkpoints aside, which have 20 MB together."""
    files = [path for path in run(root, "git", "ls-files").split() if (root / path).exists()]
    sizes = {path: (root / path).stat().st_size for path in files}
    built_in = {path: size for path, size in sizes.items() if path.startswith("stages/promptseg/tiny/")}
    assert 0 < sum(built_in.values()) <= 20_000_000
    assert {path: size for path, size in sizes.items() if path not in built_in and size >= 1 << 20} == {}


def test_a_variant_of_the_training_runs_what_depends_on_it_and_nothing_else(clean):
    out = run(clean, "dvc", "exp", "run", "-S", "finetune.em-unet.train.epochs=2")
    expected = {"finetune@em-unet", "predict@em-unet", "evaluate_finetuned@em-unet"}
    assert set(ran(out)) == expected | {"cascade@em-unet-sam", "evaluate_cascade@em-unet-sam", "report"}
    assert "finetune.em-unet.train.epochs" in run(clean, "dvc", "params", "diff")
    difference = json.loads(run(clean, "dvc", "metrics", "diff", "--json"))
    assert set(difference) == {"metrics/em-unet.json", "metrics/em-unet-sam.json"}
    own = json.loads(run(clean, "dvc", "metrics", "diff", "--json", "--targets", "metrics/verdicts/em.json"))
    assert "best_automatic" in own["metrics/verdicts/em.json"]
    assert "iou_mean" in difference["metrics/em-unet.json"]
    assert len(pd.read_csv(clean / "plots/training/em-unet.csv")) == 2


CODE = "\nUNUSED = 1\n"


@pytest.mark.parametrize(
    "edits, expected",
    [
        ({"models/sam.py": ("", "\n# a comment\n"), "core/files.py": ('"""Atomic', '"""More words. Atomic'),
          "datasets/covid/sample.py": ("", CODE)}, {"code", "download@covid"}),
        ({"models/unet.py": ("", CODE), "datasets/covid/reader.py": ("", CODE),
          "report/templates/report.html.j2": ("", "<!-- changed -->")},
         {"code", "checkpoint@unet", "finetune@em-unet", "predict@em-unet", "download@covid", "preprocess@covid",
          "report"}),
    ],
)  # fmt: skip
def test_an_edit_runs_what_reaches_it_and_comments_and_docstrings_nothing(clean, edits, expected):
    """What a stage makes stays the same bytes here, so nothing behind it runs."""
    for path, (old, new) in edits.items():
        text = (clean / "stages/promptseg" / path).read_text()
        assert old in text
        (clean / "stages/promptseg" / path).write_text(text.replace(old, new, 1) if old else text + new)
    assert set(ran(run(clean, "dvc", "repro"))) == expected


def test_an_image_added_to_a_folder_of_the_user_is_noticed_and_a_bad_one_is_one_line(clean, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(clean / "data/raw/em", mine)
    change(clean, "datasets.em.raw", str(mine))
    assert ran(run(clean, "dvc", "repro", "preprocess@em")) == ["preprocess@em"]
    assert ran(run(clean, "dvc", "repro", "preprocess@em")) == []
    (mine / "notes.txt").write_text("a new file")
    assert ran(run(clean, "dvc", "repro", "preprocess@em")) == ["preprocess@em"]
    assert not os.access(mine / "training.tif", os.X_OK) and os.access(mine / "training.tif", os.W_OK)
    # run as DVC runs it, in the stage's own process; what stood there before is still whole
    before = sorted(path.name for path in (clean / "data/prepared").iterdir())
    whole = (mine / "training.tif").read_bytes()
    (mine / "training.tif").write_bytes(whole[: len(whole) // 2])
    outputs = ("data/prepared/em", "data/summaries/em.json", "plots/data/em.png")
    out = run(clean, "python", "stages/preprocess.py", "em", str(mine), *outputs, code=1)
    assert re.fullmatch(rf"error: {re.escape(str(mine))}.*training\.tif.*\n", out), out
    assert sorted(path.name for path in (clean / "data/prepared").iterdir()) == before
    assert (clean / "data/prepared/em/test.parquet").is_dir()


def test_what_dvc_shows(clean):
    shown = run(clean, "dvc", "metrics", "show")
    assert all(f"metrics/{name}.json" in shown for name in RUNS) and "iou_mean" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 160
    page = Path(run(clean, "dvc", "plots", "show").strip().removeprefix("file://"))
    html = page.read_text()
    assert all(f"plots_runs_{name}_images.png" in html or f"plots/runs/{name}/images.png" in html for name in RUNS)
    for axis in ("epoch", "val_iou", "threshold", "headline"):
        assert f'"title": "{axis}"' in html
    assert "leaderboard.png" in html
    assert "finetune@em-unet" in run(clean, "dvc", "dag")
    assert "data/weights/em-unet" in run(clean, "dvc", "dag", "--outs")


def test_a_clone_without_data_agrees_and_one_that_pulls_has_nothing_to_run(clean, tmp_path):
    remote, second, third = tmp_path / "remote", tmp_path / "second", tmp_path / "third"
    run(clean, "dvc", "remote", "add", "--local", "--default", "store", str(remote))
    run(clean, "dvc", "push")
    for clone in (second, third):
        run(tmp_path, "git", "clone", "--quiet", str(clean), str(clone))
        run(clone, "dvc", "remote", "add", "--local", "--default", "store", str(remote))
    run(second, "dvc", "repro", "--dry", "--allow-missing")
    run(second, "dvc", "pull")
    assert ran(run(second, "dvc", "repro")) == []
    # One changed run, fetching only what it needs.
    change(third, "zero_shot.covid-sam.prompt", {"points": 2})
    out = run(third, "dvc", "repro", "--pull", "--allow-missing")
    assert ran(out) == ["zero_shot@covid-sam", "evaluate_zero_shot@covid-sam", "report"]
    assert not (third / "data/raw").exists() and not (third / "data/weights/em-unet").exists()


def test_two_clean_runs_give_the_same_lock(clean, root, tmp_path):
    """The second with independent stages side by side, which must not show in what they make or in how it is noted."""
    again = new_project(root, tmp_path / "again")
    run(again, "promptseg", "repro", "-j", "2")
    assert (again / "dvc.lock").read_bytes() == (clean / "dvc.lock").read_bytes()


def test_wrong_params_are_one_line_before_anything_runs(clean):
    change(clean, "zero_shot.em-sam.prompt", {"text": ["fire"]})
    line = "zero_shot.em-sam: sam takes no text prompt; it takes automatic, box, box + points, clicks, mask, points"
    assert run(clean, "promptseg", "check", code=1) == f"error: params.yaml: {line}\n"
