"""Each guard is removed in a copy of the project, and the test that it names has to fail there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from guards import GUARDS
from imports import STAGES

ROOT = STAGES.parent
NAMES = tuple(GUARDS)[:: max(1, round(1 / float(os.environ.get("TORTURE_SCALE", "1"))))]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project, without what it has made."""
    folder = tmp_path_factory.mktemp("mutated") / "project"
    shutil.copytree(STAGES, folder / "stages", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("pyproject.toml", "dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / path, folder / path)
    return folder


def run(copy: Path, *tests: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(copy / "stages"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {key: value for key, value in environment.items() if not key.startswith("PYTEST_")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{test}" for test in tests),
    ]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)


def test_with_all_guards_the_tests_pass(copy):
    done = run(copy, *dict.fromkeys(GUARDS[name].test for name in NAMES))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("name", NAMES)
def test_a_guard_is_missed(name, copy):
    guard = GUARDS[name]
    path = copy / "stages/promptseg" / guard.file
    original = path.read_text("utf-8")
    assert original.count(guard.text) == 1, f"{guard.file} holds {guard.text!r} {original.count(guard.text)} times"
    path.write_text(original.replace(guard.text, guard.replacement), "utf-8")
    try:
        done = run(copy, guard.test)
    finally:
        path.write_text(original, "utf-8")
    assert done.returncode == 1, f"{guard.test} passes without it\n{done.stdout[-2000:]}"
    assert "1 failed" in done.stdout
