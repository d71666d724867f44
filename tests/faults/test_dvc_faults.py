"""DVC's own commands when two run at once, one is killed, the project moves, or its cache lends out links."""

import hashlib
import shutil
import subprocess
import time

import dvc_project
import psutil
import pytest
from dvc_project import TARGET, made, run
from small_study import leftovers

pytestmark = pytest.mark.xdist_group("dvc faults")  # beside those that share a server
FORCED = ["dvc", "repro", "--force", "--single-item", TARGET]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project after `dvc repro`, committed; tests leave what it made as it was. And the digests of that."""
    folder = dvc_project.write(tmp_path_factory.mktemp("dvc") / "project")
    run(folder, "dvc", "repro", TARGET)
    dvc_project.commit(folder)
    assert None not in made(folder).values()
    return folder, made(folder)


def start(folder, command):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=folder, env=dvc_project.environment(), **pipes)


def check_whole(folder, whole):
    """All is there, nothing else is, and nothing is left to run."""
    assert made(folder) == whole and leftovers(folder) == []
    assert "Running stage" not in run(folder, "dvc", "repro", TARGET)
    assert run(folder, "git", "status", "--porcelain") == ""


def test_of_two_at_once_each_ends_and_the_outputs_are_whole(project):
    folder, whole = project
    both = [start(folder, FORCED) for _ in range(2)]
    outputs = [each.communicate(timeout=120)[0] for each in both]
    assert 0 in [each.returncode for each in both], outputs
    for each, output in zip(both, outputs, strict=True):
        assert each.returncode == 0 or "is busy" in output or "lock" in output, output
        assert "Traceback" not in output
    check_whole(folder, whole)


def test_a_killed_dvc_takes_its_stage_along_and_the_next_one_finishes(project):
    folder, whole = project
    running = start(folder, FORCED)
    stages = []
    while not stages:
        assert running.poll() is None
        stages = [child for child in psutil.Process(running.pid).children(recursive=True)
                  if any(part.endswith("preprocess.py") for part in child.cmdline())]  # fmt: skip
        time.sleep(0.01)
    time.sleep(0.1)
    running.kill()
    running.wait()
    assert psutil.wait_procs(stages, timeout=10)[1] == []
    assert all(digest in (None, whole[name]) for name, digest in made(folder).items())
    run(folder, "dvc", "repro", TARGET)
    check_whole(folder, whole)


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_a_cache_that_lends_out_links_is_not_written_through(kind, project):
    folder, whole = project
    run(folder, "dvc", "config", "--local", "cache.type", kind)
    run(folder, "dvc", "checkout", "--relink", "--force", TARGET)
    shard = folder / "data/prepared/discs/test.parquet/00000.parquet"
    assert shard.is_symlink() if kind == "symlink" else shard.stat().st_nlink > 1
    run(folder, *FORCED)
    for path in (folder / ".dvc/cache/files/md5").glob("*/*"):
        content = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert path.parent.name + path.name.removesuffix(".dir") == content
    run(folder, "dvc", "config", "--local", "--unset", "cache.type")
    check_whole(folder, whole)


def test_a_worktree_of_git_makes_the_same_and_a_moved_project_has_nothing_to_run(project, tmp_path):
    folder, whole = project
    other = tmp_path / "another tree, März"
    run(folder, "git", "worktree", "add", "--quiet", "--detach", str(other))
    run(other, "dvc", "repro", TARGET)
    check_whole(other, whole)
    moved = tmp_path / "moved"
    shutil.move(other, moved)
    run(folder, "git", "worktree", "repair", str(moved))
    check_whole(moved, whole)
