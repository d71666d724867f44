"""`promptseg doctor --fit`: which runs can be planned, and the call of `training.fit_check`."""

import pytest
import yaml
from example_params import changed
from promptseg.cli import main, plan
from promptseg.training import fit_check
from refusing import refused
from typer.testing import CliRunner


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**changed("seed", 3), "scale": {"max_epochs": 5}}))
    return tmp_path


def test_a_run_without_training_is_refused(project):
    for name in ("em-sam", "em-cascade"):
        refused(lambda name=name: plan.plan(name), f"{name} is not fine-tuned; fine-tuned runs: em-sam-20")
    refused(lambda: plan.plan("x"), "unknown run 'x'")


def test_missing_inputs_are_named_with_the_stages_that_make_them(project):
    refused(
        lambda: plan.plan("em-sam-20"),
        "data/prepared/em: not found; `dvc repro preprocess@em checkpoint@sam` makes it",
    )
    (project / "data/prepared/em").mkdir(parents=True)
    refused(lambda: plan.plan("em-sam-20"), "data/checkpoints/sam: not found; `dvc repro checkpoint@sam` makes it")


def test_the_fit_of_a_run_is_printed(project, monkeypatch):
    for folder in ("data/prepared/em", "data/checkpoints/sam"):
        (project / folder).mkdir(parents=True)
    calls = []
    monkeypatch.setattr(fit_check, "describe_fit", lambda *call: calls.append(call) or "memory 1 GB")
    result = CliRunner().invoke(main.app, ["doctor", "--fit", "em-sam-20"])
    assert result.exit_code == 0 and result.stdout.splitlines() == [
        "em-sam-20: mask_decoder of sam on em",
        "memory 1 GB",
    ]
    ((job, inputs),) = calls
    assert (job.max_epochs, job.seed, job.run.train.epochs) == (5, 3, 20)
    assert [path.as_posix() for path in (inputs.train, inputs.val, inputs.checkpoint, inputs.cache)] == [
        "data/prepared/em/train.parquet",
        "data/prepared/em/val.parquet",
        "data/checkpoints/sam",
        "data/embeddings",
    ]
