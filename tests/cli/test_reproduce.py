"""Published figures: which can be tested by a study, what is measured, and pass or fail."""

import json

import numpy as np
import pytest
import yaml
from promptseg.cli import main, reproduce
from promptseg.core import study
from promptseg.core.errors import UserError
from promptseg.data import image_io, records
from promptseg.data.records import Prediction, Record
from promptseg.evaluation import evaluate, targets
from typer.testing import CliRunner

FULL = {"data": "official", "checkpoints": "official", "max_images": None, "max_epochs": None}
PARAMS = {
    "scale": FULL,
    "datasets": {"em": {"raw": "data/raw/em", "reader": "em"}},
    "models": {"clipseg": {}},
    "zero_shot": {"em-clipseg": {"dataset": "em", "model": "clipseg", "prompt": {"text": ["spots"]}}},
}
TARGET = {
    "figure": 0.5, "paper": "a paper", "run": "em-clipseg", "dataset": "em", "images": 2, "model": "clipseg",
    "prompt": {"text": ["spots"]}, "metric": "clipseg_fg_iou", "threshold": 0.5, "tolerance": 0.01, "why": "eight bits",
}  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with predictions of half of each mask; returns a function that writes params.yaml and targets."""
    monkeypatch.chdir(tmp_path)
    ran = []
    monkeypatch.setattr(reproduce.repro, "reproduce", lambda jobs, stages: ran.extend(stages))
    mask = np.zeros((352, 352), np.uint8)
    mask[:100] = 1
    half = np.where(mask, np.float32(0.9), np.float32(0.1))
    half[50:100] = 0.1
    split, predictions = tmp_path / "data/prepared/em/test.parquet", tmp_path / "data/predictions/em-clipseg.parquet"
    for folder in (split.parent, predictions.parent, tmp_path / "data/scores"):
        folder.mkdir(parents=True)
    with records.RecordWriter(split, Record, {"classes": ["spot"], "seed": 0, "score": "image"}) as out:
        for name, target in (("a", mask), ("b", mask), ("empty", 0 * mask)):
            png = image_io.encode_png(target)
            place = name, 0, 0, 352, 352
            out.add(Record(name, name, png, png, 352, 352, *place, foreground=int(target.sum())))
    about = {"classes": ["spot"], "model": "clipseg", "prompt": {}, "oracle": False}
    with records.RecordWriter(predictions, Prediction, about) as out:
        for name, values in (("a", half), ("b", half), ("empty", np.full_like(half, 0.9))):
            out.add(Prediction(name, records.pack(values[None]), "[]"))
    outputs = evaluate.Outputs(tmp_path / "m.json", tmp_path / "data/scores/em-clipseg.parquet", tmp_path / "plots")
    evaluate.evaluate(split, predictions, outputs)

    def write(params=PARAMS, **entries):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(entries or {"mine": TARGET}, sort_keys=False))
        return ran

    return write


def run(*words):
    return CliRunner().invoke(main.app, ["reproduce", "--file", "mine.yaml", *words])


def test_a_figure_that_is_reached_passes_and_one_that_is_not_fails_by_how_much(project):
    ran = project(near=TARGET, far=TARGET | {"figure": 0.6}, ours=TARGET | {"metric": "iou_mean"})
    done = run("--json")
    near, far, ours = json.loads(done.output)
    assert ran == ["evaluate_zero_shot@em-clipseg"] and done.exit_code == 1
    assert (near["state"], near["value"]) == ("pass", pytest.approx(0.5, abs=1e-4))  # the empty image has no part
    assert far["state"] == "fail" and far["reason"].startswith("0.100 apart, more than 0.01")
    assert ours["state"] == "pass" and ours["value"] == 0.5
    assert run("near").exit_code == 0 and "pass        0.500, published 0.5" in run("near").output


def test_other_numbers_of_images_fail(project):
    project(mine=TARGET | {"images": 3})
    assert "2 images with ground truth in place of 3" in run().output and run().exit_code == 1


@pytest.mark.parametrize(("params", "target", "reason"), [
    ({"scale": FULL | {"data": "sample"}}, {}, "not at full scale"),
    ({"scale": FULL | {"max_images": 32}}, {}, "not at full scale"),
    ({"zero_shot": {}}, {}, "no run em-clipseg"),
    ({}, {"prompt": {"text": ["dots"]}}, "another dataset, model or prompt"),
    ({}, {"weights": {"repository": "CIDAS/clipseg-rd64"}}, "the weights are CIDAS/clipseg-rd64-refined at"),
    ({"models": {"clipseg": {"source": "here"}}}, {"weights": {"repository": "a/b"}}, "the weights are here"),
    ({}, {"untestable": "protocol not stated"}, "protocol not stated"),
])  # fmt: skip
def test_what_cannot_be_tested_is_not_run_and_says_why(project, params, target, reason):
    ran = project(PARAMS | params, mine=TARGET | target)
    done = run()
    assert not ran and done.exit_code == 0 and "untestable" in done.output and reason in done.output


def test_the_hash_of_a_commit_must_be_that_of_the_target(project):
    commit = "0" * 40
    named = {"clipseg": {"official": "a/b", "revision": commit}}
    for revision, state in ((commit, "pass"), ("1" * 40, "untestable")):
        project(PARAMS | {"models": named}, mine=TARGET | {"weights": {"repository": "a/b", "revision": revision}})
        assert state in run().output


def test_a_rehearsal_takes_every_step_at_any_scale_and_compares_nothing(project):
    ran = project(PARAMS | {"scale": {"data": "sample"}}, mine=TARGET | {"figure": 0.9, "images": 99})
    done = run("--rehearse")
    assert len(ran) == 1 and done.exit_code == 0 and "rehearsed   0.500" in done.output
    assert "untestable" in run("--list").output and len(ran) == 1


@pytest.mark.parametrize(("change", "message"), [
    ({"metric": "miou"}, "mine.yaml: mine.*unknown 'miou'"),
    ({"tolerance": None}, "mine.yaml: mine.*tolerance is missing"),
    ({"figur": 0.5}, "mine.yaml: mine.figur"),
])  # fmt: skip
def test_a_wrong_target_is_one_line(project, change, message):
    project(mine=TARGET | change)
    with pytest.raises(UserError, match=message):
        targets.load(reproduce.Path("mine.yaml"))
    with pytest.raises(UserError, match="unknown target 'other'"):
        targets.choose({"mine": TARGET}, ["other"])


def test_every_shipped_target_that_can_be_tested_has_its_run_in_the_published_study(root):
    found = targets.load()
    published = study.load(root / "stages/promptseg/studies/published.yaml")
    testable = {name: target for name, target in found.items() if target.untestable is None}
    assert len(testable) >= 3 and {target.difference_to(published, True) for target in testable.values()} == {None}
    reported = {round(run.reported_iou, 3) for run in published.runs.values() if run.reported_iou is not None}
    assert reported <= {target.figure for target in found.values()}
