"""Experiments that DVC runs elsewhere than in the project's folder: from its queue, two at once, and in a copy."""

import shutil
from pathlib import Path

import pytest
import yaml
from test_pipeline import commit, new_project, ran, run

STUDY = {
    "seed": 0,
    "scale": {"data": "sample", "checkpoints": "tiny", "max_epochs": 1, "max_images": 4},
    "download": {"em": {"reader": "em", "source": None}},
    "datasets": {"em": {"raw": "data/raw/em", "reader": "em", "tile": 256, "score": "tile"}},
    "models": {"sam": {"source": None}},
    "zero_shot": {"em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1, "sampling": "random"}}},
    "cascade": {},
    "finetune": {},
}
TARGET = "evaluate_zero_shot@em-sam"
VARIANTS = ("zero_shot.em-sam.prompt.points=2", "zero_shot.em-sam.prompt.points=3")

pytestmark = pytest.mark.xdist_group("pipeline")  # beside the other tests that run DVC, not at the same time


@pytest.fixture(scope="module")
def project(root, tmp_path_factory):
    """A small study, run once and committed."""
    folder = new_project(root, tmp_path_factory.mktemp("experiments"))
    (folder / "params.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    run(folder, "dvc", "repro", TARGET)
    commit(folder, "results")
    return folder


def copied(project: Path, name: str) -> Path:
    """The project with its cache, in which no experiment was run: else DVC would restore and not compute."""
    folder = project.parent / name
    shutil.copytree(project, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def plain(project):
    """Metrics and dvc.lock of each variant, run by `dvc repro`."""
    folder, found = copied(project, "plain"), []
    for setting in VARIANTS:
        study = yaml.safe_load((folder / "params.yaml").read_text())
        study["zero_shot"]["em-sam"]["prompt"]["points"] = int(setting[-1])
        (folder / "params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        assert ran(run(folder, "dvc", "repro", TARGET)) == ["zero_shot@em-sam", TARGET]
        found.append([(folder / path).read_text() for path in ("metrics/em-sam.json", "dvc.lock")])
    assert found[0] != found[1]
    return found


def result(folder: Path, name: str) -> list[str]:
    """Metrics and dvc.lock of an experiment."""
    (ref,) = run(folder, "git", "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").split()
    return [run(folder, "git", "show", f"{ref}:{path}") for path in ("metrics/em-sam.json", "dvc.lock")]


def test_two_experiments_side_by_side_are_those_of_plain_runs(project, plain):
    folder = copied(project, "queue")
    for number, setting in enumerate(VARIANTS):
        run(folder, "dvc", "exp", "run", "--queue", "--name", f"variant-{number}", "-S", setting, TARGET)
    run(folder, "dvc", "exp", "run", "--run-all", "--jobs", "2")
    assert [result(folder, f"variant-{number}") for number in range(2)] == plain
    assert run(folder, "git", "status", "--porcelain") == ""


def test_an_experiment_in_a_copy_is_that_of_a_plain_run(project, plain):
    folder = copied(project, "temp")
    run(folder, "dvc", "exp", "run", "--temp", "--name", "aside", "-S", VARIANTS[0], TARGET)
    assert result(folder, "aside") == plain[0]
    assert run(folder, "git", "status", "--porcelain") == ""
