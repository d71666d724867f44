"""Stages side by side: the same results as a serial run, sooner, and honest when one fails; commands of seconds."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Each notes when it ran, and copies what it was given.
STEP = """
import sys, time
name, seconds, *inputs = sys.argv[1:]
start = time.time()
time.sleep(float(seconds))
text = name + "".join(open(i).read() for i in inputs)
if text.count("boom"): sys.exit("it is broken: " + name)
open(name + ".out", "w").write(text)
open(name + ".log", "a").write(f"{start} {time.time()}\\n")
"""
GRAPH = {"a": [], "b": [], "c": ["a"], "d": ["b"], "e": ["c", "d"]}


def stage(name, inputs, seconds):
    given = " ".join(f"{i}.out" for i in inputs)
    deps = "".join(f"\n      - {i}.out" for i in inputs)
    return f"""
  {name}:
    cmd: python step.py {name} {seconds} {given}
    deps:
      - {name}.in{deps}
    outs:
      - {name}.out
"""


def run(folder, *command, code=0, **more):
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    def make(name="project", seconds=0.0):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "step.py").write_text(STEP)
        (folder / "dvc.yaml").write_text("stages:" + "".join(stage(n, i, seconds) for n, i in GRAPH.items()))
        for n in GRAPH:
            (folder / f"{n}.in").write_text(n)
        run(folder, "git", "init", "-q")
        run(folder, "dvc", "init", "-q")
        return folder

    return make


def spans(folder):
    """When each stage ran last."""
    logs = {name: folder / f"{name}.log" for name in GRAPH}
    return {name: tuple(map(float, log.read_text().split()[-2:])) for name, log in logs.items() if log.exists()}


def here(folder, command):
    """The processes with this command whose folder this is; others may run elsewhere on the machine."""
    pids = subprocess.run(["pgrep", "-f", command], capture_output=True, text=True).stdout.split()
    return [pid for pid in pids if _folder(pid) == str(folder)]


def _folder(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # it has ended since
        return None


def ran(out):
    return set(re.findall(r"^\[\d+/\d+\] (\w+) ", out, re.MULTILINE))


def test_the_results_and_the_lock_are_those_of_a_serial_run(project):
    serial, parallel = project("serial"), project("parallel", 0.3)
    (parallel / "dvc.yaml").write_bytes((serial / "dvc.yaml").read_bytes())
    run(serial, "dvc", "repro", "-q")
    assert ran(run(parallel, "promptseg", "repro", "-j", "3")) == set(GRAPH)
    assert (parallel / "dvc.lock").read_bytes() == (serial / "dvc.lock").read_bytes()
    assert (parallel / "e.out").read_bytes() == (serial / "e.out").read_bytes()
    assert "up to date" in run(parallel, "dvc", "repro")


def test_what_does_not_hang_together_runs_at_once_and_the_rest_in_order(project):
    folder = project(seconds=2)
    run(folder, "promptseg", "repro", "-j", "2")
    when = spans(folder)
    assert when["a"][0] < when["b"][1] and when["b"][0] < when["a"][1]
    for name, inputs in GRAPH.items():
        for i in inputs:
            assert when[i][1] <= when[name][0]


def test_one_job_is_one_at_a_time(project):
    folder = project(seconds=0.2)
    run(folder, "promptseg", "repro", "-j", "1")
    times = sorted(spans(folder).values())
    assert all(one[1] <= other[0] for one, other in zip(times, times[1:]))


def test_only_what_is_stale_runs_and_what_depends_on_it(project):
    folder = project()
    run(folder, "promptseg", "repro")
    assert ran(run(folder, "promptseg", "repro")) == set()
    (folder / "c.in").write_text("new")
    assert ran(run(folder, "promptseg", "repro")) <= {"c", "e"}
    (folder / "d.out").unlink()
    assert "d" in ran(run(folder, "promptseg", "repro"))


def test_targets_bring_what_they_need_and_nothing_else(project):
    folder = project()
    assert ran(run(folder, "promptseg", "repro", "d")) == {"b", "d"}
    assert run(folder, "promptseg", "repro", "mars", code=1) == (
        "error: unknown stage 'mars'; `dvc stage list` shows all\n"
    )


def test_a_stage_that_fails_is_shown_and_named_and_nothing_begins_after_it(project):
    folder = project(seconds=0.3)
    step = (folder / "step.py").read_text().replace("text = name", 'text = ("boom" if name == "c" else name)')
    (folder / "step.py").write_text(step)
    out = run(folder, "promptseg", "repro", "-j", "2", code=1)
    assert "it is broken: c" in out and "Traceback" not in out
    assert re.search(r"error: c failed; \d stages? that w\w+ still to come w\w+ not begun$", out.strip()), out
    assert not (folder / "e.out").exists() and not (folder / "c.out").exists()
    (folder / "step.py").write_text(STEP)
    run(folder, "promptseg", "repro")
    assert "up to date" in run(folder, "dvc", "repro")


def test_a_killed_run_leaves_no_stage_behind_and_the_next_one_finishes(project):
    folder = project(seconds=3)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(["promptseg", "repro", "-j", "2"], cwd=folder, env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while (
        subprocess.run(["pgrep", "-f", "step.py a 3"], capture_output=True).returncode and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    begun = here(folder, "repro --quiet --single-item")
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20  # at once, but this machine may be busy; DVC's locks name them till they are reaped
    while any(os.path.exists(f"/proc/{pid}") for pid in begun) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    assert begun and here(folder, "repro --quiet --single-item") == []
    for name in ("a", "b"):  # what dvc itself started is the stage's to tie; here the commands are plain
        subprocess.run(["pkill", "-KILL", "-f", f"step.py {name} 3"])
    run(folder, "promptseg", "repro", "-j", "2")
    assert "up to date" in run(folder, "dvc", "repro")
