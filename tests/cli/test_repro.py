"""`promptseg repro`: the results of a serial run, sooner; failures and kills; with commands of seconds."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from promptseg.cli import repro
from promptseg.cli.dvc_process import DvcProcess

# Each logs when it ran, and copies its inputs.
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


def processes(folder, command):
    """Process ids of a command in this folder; other projects may run on the machine."""
    pids = subprocess.run(["pgrep", "-f", command], capture_output=True, text=True).stdout.split()
    return [pid for pid in pids if _folder(pid) == str(folder)]


def _folder(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # it has ended
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


def test_independent_stages_run_at_once_and_dependent_ones_in_order(project):
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
    assert all(one[1] <= other[0] for one, other in zip(times, times[1:], strict=False))


def test_only_stale_stages_and_their_dependents_run(project):
    folder = project()
    run(folder, "promptseg", "repro")
    assert ran(run(folder, "promptseg", "repro")) == set()
    (folder / "c.in").write_text("new")
    assert ran(run(folder, "promptseg", "repro")) <= {"c", "e"}
    (folder / "d.out").unlink()
    assert "d" in ran(run(folder, "promptseg", "repro"))


def test_targets_run_with_their_dependencies_only(project):
    folder = project()
    assert ran(run(folder, "promptseg", "repro", "d")) == {"b", "d"}
    assert run(folder, "promptseg", "repro", "mars", code=1) == (
        "error: unknown stage 'mars'; `dvc stage list` shows all\n"
    )


def test_the_output_of_a_failed_stage_is_shown_and_nothing_starts_after_it(project):
    folder = project(seconds=0.3)
    step = (folder / "step.py").read_text().replace("text = name", 'text = ("boom" if name == "c" else name)')
    (folder / "step.py").write_text(step)
    out = run(folder, "promptseg", "repro", "-j", "2", code=1)
    assert "it is broken: c" in out and "Traceback" not in out
    assert re.search(r"error: c failed; \d stages? not run$", out.strip()), out
    assert not (folder / "e.out").exists() and not (folder / "c.out").exists()
    (folder / "step.py").write_text(STEP)
    run(folder, "promptseg", "repro")
    assert "up to date" in run(folder, "dvc", "repro")


def test_a_killed_run_leaves_no_process_behind_and_the_next_one_finishes(project):
    folder = project(seconds=3)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(["promptseg", "repro", "-j", "2"], cwd=folder, env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not processes(folder, "step.py a 3") and time.monotonic() < deadline:
        time.sleep(0.1)
    started = processes(folder, "repro --single-item")
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20  # at once, but a machine may be busy; DVC's locks name them until they are reaped
    while any(os.path.exists(f"/proc/{pid}") for pid in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    assert started and processes(folder, "repro --single-item") == []
    for name in ("a", "b"):  # a stage of promptseg ends with DVC; these commands do not
        for pid in processes(folder, f"step.py {name} 3"):
            os.kill(int(pid), signal.SIGKILL)
    run(folder, "promptseg", "repro", "-j", "2")
    assert "up to date" in run(folder, "dvc", "repro")


def test_with_autostage_git_has_the_lock_as_it_is(project):
    folder = project()
    run(folder, "dvc", "config", "core.autostage", "true")
    run(folder, "promptseg", "repro", "-j", "2")
    assert run(folder, "git", "diff", "--name-only", "dvc.lock") == ""
    assert run(folder, "git", "show", ":dvc.lock") == (folder / "dvc.lock").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_stages_and_loses_no_entry_of_the_lock(project, number):
    folder = project()
    run(folder, "promptseg", "repro")
    lock = (folder / "dvc.lock").read_text()
    (folder / "dvc.yaml").write_text((folder / "dvc.yaml").read_text().replace("step.py a 0.0", "step.py a 30"))
    (folder / "b.out").unlink()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["promptseg", "repro", "-j", "1", "a"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )
    deadline = time.monotonic() + 60
    while not processes(folder, "step.py a 30") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "  a:" not in (folder / "dvc.lock").read_text() and "  b:" in (folder / "dvc.lock").read_text()
    process.send_signal(number)
    process.wait(timeout=20)
    assert processes(folder, "repro --single-item") == []
    assert (folder / "dvc.lock").read_text() == lock
    for pid in processes(folder, "step.py a 30"):  # a stage of promptseg ends with DVC; this command does not
        os.kill(int(pid), signal.SIGKILL)


def test_two_jobs_are_faster_than_one(project):
    seconds = []
    for jobs in (1, 2):
        folder, start = project(f"jobs{jobs}", seconds=3), time.monotonic()
        run(folder, "promptseg", "repro", "-j", str(jobs))
        seconds.append(time.monotonic() - start)
    assert seconds[1] < seconds[0] - 2  # of 15 seconds of commands one after the other, 9 side by side


def test_short_stages_of_a_verb_share_processes(project):
    folders = project("serial"), project("parallel")
    for folder in folders:
        (folder / "dvc.yaml").write_text(
            "stages:\n  copy:\n    foreach: ['" + "', '".join(map(str, range(20))) + "']\n    do:\n"
            "      cmd: python step.py ${item} 0\n      outs: ['${item}.out']\n"
        )
    run(folders[0], "dvc", "repro", "-q")
    out = run(folders[1], "promptseg", "repro", "-j", "2")
    assert sorted(re.findall(r"^\[\d+/20\] copy@(\d+) [\d.]+ s$", out, re.MULTILINE), key=int) == [*map(str, range(20))]
    assert (folders[0] / "dvc.lock").read_bytes() == (folders[1] / "dvc.lock").read_bytes()
    assert all(len((folders[1] / f"{i}.log").read_text().splitlines()) == 1 for i in range(20))


READY = [f"evaluate@{i}" for i in range(40)]


@pytest.mark.parametrize(
    "ready, seconds, count",
    [
        (READY, [], 1),  # until one has ended, nobody knows how long they take
        (READY, [5.0, 7.0], 5),  # 30 seconds together
        (READY, [0.0], 8),
        (READY, [31.0], 1),
        (READY[:12], [1.0], 3),  # smaller at the end
        (READY[:3], [1.0], 1),
        (["finetune@a", *READY], [1.0], 1),
        (["evaluate@a", "report", *READY[:11]], [1.0], 3),
    ],
)
def test_the_size_of_a_batch_follows_from_what_its_verb_took_and_from_what_is_left(ready, seconds, count):
    batch = repro.next_batch(ready, 2, {"evaluate": seconds})
    assert len(batch) == count and batch[0] == ready[0]
    assert {name.partition("@")[0] for name in batch} == {ready[0].partition("@")[0]}
    assert len(repro.next_batch(ready, 20, {"evaluate": seconds})) == 1


def test_a_stage_of_another_verb_than_those_that_run_comes_first():
    ready = ["zero_shot@a", "zero_shot@b", "evaluate@c", "evaluate@d"]
    assert repro.spread(ready, set()) == repro.spread(ready, {"predict@e", "zero_shot@f", "evaluate@g"}) == ready
    assert repro.spread(ready, {"zero_shot@f"}) == [*ready[2:], *ready[:2]]


def test_a_batch_ends_with_the_stage_that_fails_and_what_ended_before_is_recorded(project, monkeypatch):
    folder = project()
    (folder / "dvc.yaml").write_text(
        "stages:\n  copy:\n    foreach: [a, b, c]\n    do:\n"
        "      cmd: python step.py ${item} 0 ${item}.in\n      deps: ['${item}.in']\n      outs: ['${item}.out']\n"
    )
    (folder / "b.in").write_text("boom")
    monkeypatch.chdir(folder)
    process, ended = DvcProcess(["copy@a", "copy@b", "copy@c"], dict(os.environ)), []
    while process.running:
        ended += process.poll()
        time.sleep(0.1)
    assert [name for name, _ in ended] == ["copy@a"] and process.failed == "copy@b"
    assert "it is broken: b" in process.text() and "copy@a" not in process.text()
    assert not (folder / "c.out").exists()
    assert "copy@a" not in run(folder, "dvc", "status")


def test_a_terminal_shows_the_stages_that_run_and_the_last_lines_of_their_output(project):
    folder = project(seconds=1.5)
    step = (folder / "step.py").read_text()
    (folder / "step.py").write_text(step + 'print("log of", name, flush=True); time.sleep(1)\n')
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(["promptseg", "repro", "-j", "2"], cwd=folder, env=env, stderr=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # its other end is closed
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    assert process.wait() == 0
    shown = shown.decode()
    assert re.search(r"\bc +\d+ s  log of c", shown) and re.search(r"\bd +\d+ s  ", shown)
    states = re.split(r"[\r\n]+|\x1b\[A", shown)
    assert max(map(len, states)) < 60
    assert {line.split()[1] for line in states if re.match(r"\[\d/5\] \w \d+\.\d s", line)} == set(GRAPH)


def test_a_folder_without_a_project_is_one_line(tmp_path):
    out = run(tmp_path, "promptseg", "repro", code=1)
    assert out.startswith("error: dvc: ") and out.count("\n") == 1
