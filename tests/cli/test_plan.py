"""`promptseg doctor --fit`: what a run needs, and the call of `training.fit_check`."""

import re

import yaml
from example_params import changed
from handmade_splits import scene, whole, write
from promptseg import models
from promptseg.cli import main, plan
from promptseg.nn import weights
from promptseg.training import fit_check
from refusing import refused
from typer.testing import CliRunner


def test_the_fit_of_a_fine_tuned_run_is_printed_once_its_inputs_are_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**changed("seed", 3), "scale": {"max_epochs": 5}}))
    refused(lambda: plan.plan("x"), "unknown run 'x'")
    for folder, stages in (
        ("data/prepared/em", "preprocess@em checkpoint@sam"), ("data/checkpoints/sam", "checkpoint@sam"),
    ):  # fmt: skip
        for name in ("em-sam", "em-cascade", "em-sam-20"):
            refused(lambda name=name: plan.plan(name), f"{folder}: not found; `dvc repro {stages}` makes it")
        (tmp_path / folder).mkdir(parents=True)
    calls = []
    monkeypatch.setattr(fit_check, "describe_fit", lambda *call: calls.append(call) or "memory 1 GB")
    result = CliRunner().invoke(main.app, ["doctor", "--fit", "em-sam-20"])
    assert (result.exit_code, result.stdout) == (0, "em-sam-20: mask_decoder of sam on em\nmemory 1 GB\n")
    ((job, inputs),) = calls
    assert (job.max_epochs, job.seed, job.run.train.epochs) == (5, 3, 20)
    paths = "data/prepared/em/train.parquet", "data/prepared/em/val.parquet", "data/checkpoints/sam", "data/embeddings"
    assert tuple(path.as_posix() for path in (inputs.train, inputs.val, inputs.checkpoint, inputs.cache)) == paths


def test_what_an_image_takes_is_measured_for_a_run_that_is_not_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("seed", 3)))
    (tmp_path / "data/prepared/em").mkdir(parents=True)
    rows = [whole(f"p{number}", f"p{number}", *scene(number)[:2]) for number in range(3)]
    split, _ = write(tmp_path, rows, [])
    split.rename(tmp_path / "data/prepared/em/test.parquet")
    sam = models.load("sam").create("tiny", 0)
    weights.write(tmp_path / "data/checkpoints/sam", sam.configuration(), sam.state_dict())
    for name in ("em-sam", "em-cascade"):
        result = CliRunner().invoke(main.app, ["doctor", "--fit", name])
        first, image, images = result.stdout.splitlines()
        assert result.exit_code == 0 and first == f"{name}: sam on em"
        assert re.fullmatch(r"an image   encode \d.*, decode \d.*; features 0\.1 MB, memory [\d.]+ [MG]B", image), image
        assert re.fullmatch(r"3 images  encoded in [\d.]+ s, features 0\.4 MB", images), images
