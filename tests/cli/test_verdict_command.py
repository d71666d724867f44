"""`promptseg verdict` and `promptseg compare` on the scores that are here."""

import pytest
import yaml
from promptseg.cli.compare import compare
from promptseg.cli.verdict import verdict
from promptseg.core import study
from promptseg.core.errors import UserError
from verdict_project import Scored


@pytest.fixture
def project(tmp_path, monkeypatch):
    """One dataset with scores of two runs of three, and one without any."""
    folder = {"raw": "data/raw/em", "reader": "em"}
    runs = {name: {"dataset": "em", "model": "clipseg", "prompt": {"text": [name]}} for name in ("old", "new", "later")}
    settings = {"datasets": {"em": folder, "voc": folder}, "models": {"clipseg": {}}, "zero_shot": runs}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    made = Scored(tmp_path / "data", study.load())
    made.add("old", [0.5] * 6)
    made.add("new", [0.6] * 6)
    return made


def test_verdict_is_of_the_runs_that_have_scores(project):
    told = verdict(None)
    assert told.splitlines()[0] == "em" and "0.60 (new)" in told and "left out: later" in told
    assert verdict("em") == told


@pytest.mark.parametrize(("name", "words"), [("voc", "no scores of voc yet"), ("x", "unknown dataset 'x'")])
def test_verdict_refuses_in_one_line(project, name, words):
    with pytest.raises(UserError, match=words):
        verdict(name)


def test_compare_prints_the_difference_and_the_images(project):
    told = compare("old", "new").splitlines()
    assert told[4].split() == ["overall", "0.500", "0.600", "+0.100", "+0.10", "to", "+0.10", "0.031", "6", "0", "0"]
    assert told[-2:] == ["gained most: i5, i4, i3, i2", "lost most: none"]
    with pytest.raises(UserError, match="no scores of a run 'nwe'; `dvc repro` makes them; similar: new"):
        compare("old", "nwe")
