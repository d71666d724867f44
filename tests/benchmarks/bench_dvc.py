"""Cost of DVC's own work on a project: a no-op repro, status, one experiment, and the size of dvc.lock and the tables.

Run it at the root of a project, without arguments, after `dvc repro` has finished there:

    python tests/benchmarks/bench_dvc.py

Times are processor seconds, user and system, of a command and all its children: of no-ops the median of three, of the
experiment (`dvc exp run` with another phrase for one zero-shot run) those of one. A no-op changes nothing. The
experiment runs in a temporary copy beside the project, so that neither the workspace nor its experiments change: a git
clone with the uncommitted changes, a copy of data/ (reflinks where the file system has them), and hard links to DVC's
cache, without the run cache, from which an experiment that was run before would only be restored. Needs git and GNU cp.
The exit code is 1 if a goal is missed.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SETTING = "zero_shot.fires-clipseg.prompt.text=[flames]"
REPEATS = 3
# The stages' `python` is the one that runs this; COLUMNS keeps tables from being cut.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "COLUMNS": "9999",
}


def run(command: list[str], folder: Path, **extra: str) -> str:
    """Run a command, with these environment variables added, and return its output; exit with both if it fails."""
    done = subprocess.run(command, cwd=folder, env={**ENVIRONMENT, **extra}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{folder}: {' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def processor_seconds(command: list[str], folder: Path, **extra: str) -> tuple[float, str]:
    """User and system seconds of a command with its children, and its output; exit if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**ENVIRONMENT, **extra}, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        hint = "is everything up to date? Run `dvc repro` first"
        sys.exit(f"{folder}: {' '.join(command)}: exit code {process.returncode}; {hint}\n{text}")
    return usage.ru_utime + usage.ru_stime, text


def no_op(project: Path, *arguments: str) -> float:
    """Median processor seconds of a DVC command."""
    return statistics.median(processor_seconds(dvc(*arguments), project)[0] for _ in range(REPEATS))


def copy_project(project: Path, copy: Path) -> None:
    """Clone a project into an empty folder, with its uncommitted changes, data/ and DVC's cache."""
    run(["git", "clone", "--quiet", str(project), str(copy)], project)
    changed = run(["git", "diff", "--name-only", "-z", "HEAD"], project)
    untracked = run(["git", "ls-files", "--others", "--exclude-standard", "-z"], project)
    for name in filter(None, (changed + untracked).split("\0")):
        (copy / name).unlink(missing_ok=True)
        if (project / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, copy / name)
    run(["git", "add", "--all"], copy)
    for key, value in {"user.name": "bench", "user.email": "bench@localhost", "commit.gpgsign": "false"}.items():
        run(["git", "config", key, value], copy)
    run(["git", "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "Workspace"], copy)
    run(["cp", "--archive", "--reflink=auto", str(project / "data"), str(copy)], project)
    cache = run(dvc("cache", "dir"), project).strip()
    run(["cp", "--archive", "--link", cache, str(copy / ".dvc" / "cache")], project)
    shutil.rmtree(copy / ".dvc" / "cache" / "runs", ignore_errors=True)
    run(dvc("cache", "dir", "--local", ".dvc/cache"), copy)


def experiment(project: Path) -> tuple[float, int]:
    """Processor seconds of `dvc exp run -S` in a copy of the project, and how many stages it ran."""
    with tempfile.TemporaryDirectory(dir=project.parent, prefix=".bench-dvc-") as folder:
        copy = Path(folder)
        copy_project(project, copy)
        state = str(copy / ".dvc" / "tmp" / "site-cache")  # of hashes by path; by default in /var/tmp, where it stays
        run(dvc("status", "--quiet"), copy, DVC_SITE_CACHE_DIR=state)  # hash the copied files
        seconds, output = processor_seconds(dvc("exp", "run", "-S", SETTING), copy, DVC_SITE_CACHE_DIR=state)
    stages = output.count("Running stage ")
    if not stages:
        sys.exit(f"dvc exp run -S {SETTING} ran no stage\n{output}")
    return seconds, stages


def table_width(table: str) -> int:
    return max((len(line.rstrip()) for line in table.splitlines()), default=0)


def main() -> None:
    project = Path.cwd()
    for name in (".git", "dvc.lock", "data"):
        if not (project / name).exists():
            sys.exit(f"{project / name}: not found; start this at the root of a project, after `dvc repro`")
    missed = 0

    def report(name: str, value: float, goal: int) -> None:
        nonlocal missed
        missed += value > goal
        digits = 1 if isinstance(value, float) else 0
        print(f"{name:42} {value:8,.{digits}f}   goal {goal:5,}   {'missed' if value > goal else 'met'}", flush=True)

    # Fails where something is to be done, so that the repro after it is a no-op.
    report("dvc status, processor s", no_op(project, "status", "--quiet"), 9)
    report("no-op dvc repro, processor s", no_op(project, "repro"), 9)
    seconds, stages = experiment(project)
    report(f"dvc exp run -S, {stages} stages, processor s", seconds, 30)
    report("dvc.lock, lines", len((project / "dvc.lock").read_text().splitlines()), 8500)
    report("dvc metrics show, columns", table_width(run(dvc("metrics", "show"), project)), 160)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
