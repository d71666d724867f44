"""A repository of git and DVC whose pipeline prepares the images of the small study, by the real dvc.yaml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import small_study
from imports import STAGES

TARGET = "preprocess@discs"


def run(folder: Path, *command: str, code: int | None = 0) -> str:
    """What a command prints, stdout and stderr; asserts its exit code, unless that is None."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert code is None or done.returncode == code, (
        f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    """Commands of this Python's environment first."""
    found = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    found.pop("PYTHONPATH", None)
    return found


def write(folder: Path) -> Path:
    """The project, committed, in which nothing has run. Its models are not copied: no stage of `TARGET` loads one."""
    small_study.write(folder)
    shutil.copytree(STAGES, folder / "stages", ignore=shutil.ignore_patterns("__pycache__", "tiny", "*.egg-info"))
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copyfile(STAGES.parent / name, folder / name)
    for command in ("git init -q", "dvc init -q", "dvc config core.analytics false"):
        run(folder, *command.split())
    for key, value in {"user.email": "someone@example.org", "user.name": "Someone"}.items():
        run(folder, "git", "config", key, value)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "state")


def made(folder: Path) -> dict[str, str | None]:
    """The digests of what `TARGET` makes."""
    stage = next(stage for stage in small_study.stages() if stage.name == TARGET)
    return small_study.digests(folder, stage)
