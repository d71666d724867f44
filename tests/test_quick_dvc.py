"""dvc.lock with one stage put in has the bytes that DVC itself would write."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.serialize import dump_yaml, load_yaml, modify_yaml
from promptseg.cli import quick_dvc

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "dvc.lock"


@pytest.fixture
def both(tmp_path):
    """Two files with the same content, one for DVC's own writer and one for ours."""
    stages = {name: stage for name, stage in load_yaml(LOCK)["stages"].items() if name.endswith(("em", "report"))}
    for name in ("theirs", "ours"):
        dump_yaml(tmp_path / name, {"schema": "2.0", "stages": stages})
    return tmp_path / "theirs", tmp_path / "ours"


def put(both, stages):
    with modify_yaml(both[0]) as data:
        data["stages"].update(stages)
    with quick_dvc.modified(both[1], both[1].read_text()) as data:
        data["stages"].update(stages)
    return both[0].read_bytes(), both[1].read_bytes()


def test_the_committed_lock_is_made_again_stage_by_stage(tmp_path):
    text = quick_dvc.BEGINNING
    for name, stage in load_yaml(LOCK)["stages"].items():
        with quick_dvc.modified(tmp_path / "dvc.lock", text) as data:
            data["stages"][name] = stage
        text = (tmp_path / "dvc.lock").read_text()
    assert text == LOCK.read_text()


def test_a_stage_takes_its_own_place(both):
    stages = load_yaml(both[0])["stages"]
    changed = {**stages["download@em"], "cmd": "python other.py"}
    theirs, ours = put(both, {"download@em": changed})
    assert ours == theirs and b"other.py" in ours


def test_a_new_stage_comes_last_even_if_its_name_begins_like_another(both):
    theirs, ours = put(both, {"download@e": {"cmd": "a"}, "download@em2": {"cmd": "b"}, "download@em": {"cmd": "c"}})
    assert ours == theirs and load_yaml(both[1])["stages"]["download@em"] == {"cmd": "c"}


@pytest.mark.parametrize(
    "value", ["x" * 100 + " " + "y" * 100, "two\n\nlines", "é", "a: b", None, 1e-7, [], {}, "'", "yes"]
)
def test_any_value_of_params_is_written_as_dvc_writes_it(both, value):
    stage = {"cmd": "a", "params": {"params.yaml": {"key": value, "list": [{"deeper": copy.deepcopy(value)}]}}}
    theirs, ours = put(both, {"download@em": stage, "new": copy.deepcopy(stage)})
    assert ours == theirs
    assert put(both, {"download@em": {"cmd": "b"}})[1] == both[0].read_bytes()  # found again as a whole


def test_what_stays_the_same_is_not_written(both):
    before = both[1].stat().st_mtime_ns
    put(both, {"report": load_yaml(both[0])["stages"]["report"]})
    assert both[1].stat().st_mtime_ns == before


@pytest.mark.parametrize("lock", [None, "", "schema: '2.0'\nstages: {}\ndatasets:\n- name: a\n", "not: a lock\n"])
def test_a_lock_of_any_other_shape_is_left_to_dvc(tmp_path, lock):
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: echo a > a.out\n    outs: [a.out]\n")
    subprocess.run(["dvc", "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    if lock is not None:
        (tmp_path / "dvc.lock").write_text(lock)
    theirs = subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=tmp_path, capture_output=True)
    after = (tmp_path / "dvc.lock").read_bytes() if theirs.returncode == 0 else None
    (tmp_path / "a.out").unlink(missing_ok=True)
    (tmp_path / "dvc.lock").unlink(missing_ok=True)
    if lock is not None:
        (tmp_path / "dvc.lock").write_text(lock)
    ours = subprocess.run([sys.executable, quick_dvc.__file__, "repro", "-q"], cwd=tmp_path, capture_output=True)
    assert ours.returncode == theirs.returncode
    assert after is None or (tmp_path / "dvc.lock").read_bytes() == after
