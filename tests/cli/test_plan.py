"""`promptseg doctor --fit`: which runs can be planned, and the call of `training.fit_check`."""

import yaml
from example_params import changed
from promptseg.cli import main, plan
from promptseg.training import fit_check
from refusing import refused
from typer.testing import CliRunner


def test_the_fit_of_a_fine_tuned_run_is_printed_once_its_inputs_are_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**changed("seed", 3), "scale": {"max_epochs": 5}}))
    for name in ("em-sam", "em-cascade"):
        refused(lambda name=name: plan.plan(name), f"{name} is not fine-tuned; fine-tuned runs: em-sam-20")
    refused(lambda: plan.plan("x"), "unknown run 'x'")
    for folder, stages in (
        ("data/prepared/em", "preprocess@em checkpoint@sam"), ("data/checkpoints/sam", "checkpoint@sam"),
    ):  # fmt: skip
        refused(lambda: plan.plan("em-sam-20"), f"{folder}: not found; `dvc repro {stages}` makes it")
        (tmp_path / folder).mkdir(parents=True)
    calls = []
    monkeypatch.setattr(fit_check, "describe_fit", lambda *call: calls.append(call) or "memory 1 GB")
    result = CliRunner().invoke(main.app, ["doctor", "--fit", "em-sam-20"])
    assert (result.exit_code, result.stdout) == (0, "em-sam-20: mask_decoder of sam on em\nmemory 1 GB\n")
    ((job, inputs),) = calls
    assert (job.max_epochs, job.seed, job.run.train.epochs) == (5, 3, 20)
    paths = "data/prepared/em/train.parquet", "data/prepared/em/val.parquet", "data/checkpoints/sam", "data/embeddings"
    assert tuple(path.as_posix() for path in (inputs.train, inputs.val, inputs.checkpoint, inputs.cache)) == paths
