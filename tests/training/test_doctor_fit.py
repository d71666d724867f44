"""`promptseg doctor --fit`: what a run needs, and what is missing for it."""

import pytest
from forecast_fixtures import make_inputs
from promptseg.cli import plan
from promptseg.core.errors import UserError
from typer.testing import CliRunner


def test_the_doctor_describes_a_run_and_names_what_is_missing(blobs, tmp_path, monkeypatch):
    from promptseg.cli.main import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "datasets: {em: {raw: data/raw/em, reader: em}}\nmodels: {sam: {}}\n"
        "zero_shot: {z: {dataset: em, model: sam, prompt: {points: 1}}}\n"
        "finetune: {r: {dataset: em, model: sam, prompt: {points: 1}, train: {epochs: 3, prompt: {points: 1}}}}\n"
    )
    with pytest.raises(UserError, match="^z .*; fine-tuned runs: r"):
        plan.plan("z")
    with pytest.raises(UserError, match="^data/prepared/em: not .*`dvc repro preprocess@em checkpoint@sam` makes it"):
        plan.plan("r")
    inputs = make_inputs(blobs, tmp_path)
    (tmp_path / "data/prepared/em").mkdir(parents=True)
    for path in (inputs.train, inputs.val):
        path.rename(tmp_path / "data/prepared/em" / path.name)
    (tmp_path / "data/checkpoints").mkdir()
    inputs.checkpoint.rename(tmp_path / "data/checkpoints/sam")
    done = CliRunner().invoke(app, ["doctor", "--fit", "r"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "r: mask_decoder of sam on em" and lines[1] == "images  9 to train on, 3 to validate on"
    assert [line.split()[0] for line in lines[2:]] == ["memory", "time", "disk"]
    assert not (tmp_path / "data/embeddings").exists()
