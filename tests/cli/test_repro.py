"""`promptseg repro`: the results of a serial run, sooner; failures and kills."""

import contextlib
import fcntl
import functools
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest
import yaml
from dvc.repo import Repo
from promptseg.cli import lock_entries, repro
from promptseg.cli.dvc_process import DvcProcess
from promptseg.core.errors import UserError
from refusing import refused

# Waits for the file that NAME.wait names, fails where NAME.boom exists, and copies its inputs.
STEP = """
import sys, time
from pathlib import Path
name, *inputs = sys.argv[1:]
Path(name + ".began").touch()
print("log of", name, flush=True)
wait, start = Path(name + ".wait"), time.monotonic()
while wait.exists() and not Path(wait.read_text()).exists():
    assert time.monotonic() < start + 240
    time.sleep(0.02)
if Path(name + ".boom").exists(): sys.exit("it is broken: " + name)
Path(name + ".out").write_text(name + "".join(Path(i).read_text() for i in inputs))
open(name + ".log", "a").write("ran\\n")
"""
GRAPH = {"a": [], "b": [], "c": ["a"], "d": ["b"], "e": ["c", "d"]}
COPIES = list("012345")
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}


def run(folder, *command):
    env = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stage(name, inputs):
    outs = [f"{i}.out" for i in inputs]
    deps = ", ".join([f"'{name}.in'", *outs])
    return f"{{cmd: 'python step.py {name} {' '.join(outs)}', deps: [{deps}], outs: ['{name}.out']}}\n"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A project in which nothing has run; tests do not change it."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "step.py").write_text(STEP)
    (folder / "dvc.yaml").write_text("stages:\n" + "".join(f"  {n}: {stage(n, i)}" for n, i in GRAPH.items()))
    for name in (*GRAPH, *COPIES):
        (folder / f"{name}.in").write_text(name)
    for command in ("git init -q", "dvc init -q", "dvc config core.autostage true"):
        run(folder, *command.split())
    return folder


@pytest.fixture(scope="module")
def serial(fresh, tmp_path_factory):
    """It after `dvc repro`; tests do not change it."""
    folder = shutil.copytree(fresh, tmp_path_factory.mktemp("serial") / "project", symlinks=True)
    run(folder, "dvc", "repro", "-q")
    return folder


@pytest.fixture
def project(serial, tmp_path, monkeypatch):
    """A copy of `serial`, which is the current folder."""
    folder = shutil.copytree(serial, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    for key, value in ENVIRONMENT.items():
        monkeypatch.setenv(key, value)
    handler = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, handler)


def add_copies(inputs=(), names=COPIES):
    with open("dvc.yaml", "a") as file:
        file.write(f"  copy:\n    foreach: {list(names)}\n    do: {stage('${item}', inputs)}")


def change(*names):
    for name in names:
        Path(f"{name}.in").write_text("new")
        Path(f"{name}.began").unlink()


def ran(out):
    return set(re.findall(r"^\[\d+/\d+\] (\S+) [\d.]+ s$", out, re.MULTILINE))


def reproduced(capsys, jobs, *targets):
    repro.reproduce(jobs, list(targets))
    return ran(capsys.readouterr().err)


def entries():
    return list(yaml.safe_load(Path("dvc.lock").read_text())["stages"])


def stale():
    with Repo(".") as repo:
        return {name for name, changes in repo.status().items() if changes}


def test_the_results_and_the_lock_are_those_of_a_serial_run(fresh, serial, tmp_path):
    folder = shutil.copytree(fresh, tmp_path / "parallel", symlinks=True)
    (folder / "a.wait").write_text("b.began")  # independent stages run at once
    (folder / "b.wait").write_text("a.began")
    assert ran(run(folder, "promptseg", "repro", "-j", "3")) == set(GRAPH)
    assert (folder / "dvc.lock").read_bytes() == (serial / "dvc.lock").read_bytes()
    assert (folder / "e.out").read_text() == (serial / "e.out").read_text() == "ecadb"
    assert "up to date" in run(folder, "dvc", "repro")
    assert run(folder, "git", "show", ":dvc.lock") == (folder / "dvc.lock").read_text()  # with autostage


def test_only_stale_stages_and_those_that_a_target_needs_run(project, capsys):
    assert reproduced(capsys, 2) == set()
    change("c")
    Path("d.out").unlink()
    assert {"c", "d"} <= reproduced(capsys, 2) <= {"c", "d", "e"} and Path("d.out").exists()
    change("a", "b", "d")
    assert reproduced(capsys, 2, "d") == {"b", "d"} and stale() >= {"a"}
    refused(lambda: repro.reproduce(2, ["mars"]), "unknown stage 'mars'; `dvc stage list` shows all")


def test_what_many_stages_depend_on_runs_first_and_where_its_output_is_the_same_they_do_not(project, capsys):
    names = [f"n{i}" for i in range(repro.BATCH_STAGES)]
    for name in names:
        Path(f"{name}.in").write_text(name)
    add_copies("a", names)
    assert reproduced(capsys, 2) == {f"copy@{name}" for name in names}
    before = Path("n0.log").read_text(), Path("c.log").read_text()
    change("a")  # not in its output
    assert reproduced(capsys, 2) == {"a"}
    assert (Path("n0.log").read_text(), Path("c.log").read_text()) == before and stale() == set()


def test_short_stages_of_a_verb_share_processes_and_one_job_is_one_at_a_time(project, capsys, monkeypatch):
    made, beside, before = [], [], entries()

    class Process(DvcProcess):
        def __init__(self, stages, environment):
            beside.append(sum(process._process.poll() is None for process in made))
            super().__init__(stages, environment)
            made.append(self)

    monkeypatch.setattr(repro, "DvcProcess", Process)
    monkeypatch.setattr(repro, "BATCH_SECONDS", 1e6)  # however slow the machine is
    add_copies()
    copies = [f"copy@{i}" for i in COPIES]
    assert reproduced(capsys, 1) == set(copies) and stale() == set()
    assert beside == [0] * len(made) and [len(process.stages) for process in made] == [1, 2, 1, 1, 1]
    assert entries() == [*before, *copies] and all(Path(f"{i}.log").read_text() == "ran\n" for i in COPIES)


def test_the_output_of_a_failed_stage_is_shown_and_nothing_starts_after_it(project, capsys, monkeypatch):
    add_copies()
    change("c", "d")
    Path("c.boom").touch()
    Path("d.wait").write_text("go")  # d runs until the failure of c has been seen
    monkeypatch.setattr(repro, "overprinted", lambda text: Path("go").touch() or text)
    with pytest.raises(UserError, match=r"^c failed; 7 stages not run$"):
        repro.reproduce(2, [])
    out = capsys.readouterr().err
    assert "it is broken: c" in out and "Traceback" not in out
    assert Path("e.log").read_text() == "ran\n" and not Path("c.out").exists()
    Path("c.boom").unlink()
    repro.reproduce(2, ["e"])
    assert not stale() & set(GRAPH)


@contextlib.contextmanager
def held(*names, **more):
    """`promptseg repro *names` while these stages wait; yields the process and those of DVC below it."""
    change(*names)
    for name in names:
        Path(f"{name}.wait").write_text("nothing")
    process = subprocess.Popen(["promptseg", "repro", *names], stderr=subprocess.DEVNULL, **more)
    while not all(Path(f"{name}.began").exists() for name in names):
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    dvc = [child for child in children if "--single-item" in child.cmdline()]
    yield process, dvc
    process.wait(timeout=60)
    assert psutil.wait_procs(dvc, timeout=60)[1] == []
    for child in children:  # a stage of promptseg ends with DVC; these commands do not
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=60)
    for name in names:
        Path(f"{name}.wait").unlink()


def test_a_killed_run_leaves_no_process_behind_and_the_next_one_finishes(project, capsys):
    with held("a", "b") as (process, dvc):
        assert len(dvc) == 2
        process.kill()
    assert reproduced(capsys, 2, "a", "b") == {"a", "b"} and not stale() & {"a", "b"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_stages_and_loses_no_entry_of_the_lock(project, number):
    lock = Path("dvc.lock").read_text()
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell in the background ignores it
    with held("a", start_new_session=True, preexec_fn=listen) as (process, dvc):
        assert "a" not in entries()
        process.send_signal(number)
        process.wait(timeout=60)
        assert len(dvc) == 1 and not dvc[0].is_running()
    assert Path("dvc.lock").read_text() == lock


def test_a_killed_run_loses_no_entry_of_the_lock(project, capsys):
    lock = Path("dvc.lock").read_text()
    lock_entries.LockEntries(list("abcde"), {"d"}).set_aside()
    assert entries() == ["d"]
    assert reproduced(capsys, 2) == set()  # after a kill: all entries are back, and nothing runs
    assert Path("dvc.lock").read_text() == lock and not lock_entries.ASIDE.exists()


def test_entries_of_stages_that_have_ended_are_set_aside_meanwhile(project, monkeypatch):
    monkeypatch.setattr(lock_entries, "ENDED", 2)
    lock, some = Path("dvc.lock").read_text(), lock_entries.LockEntries(list("abcde"), {"a", "b", "c"})
    some.set_aside()
    for name in "abc":
        some.end(name)
    assert entries() == ["c"]
    some.restore()
    assert Path("dvc.lock").read_text() == lock


def test_a_batch_ends_with_the_stage_that_fails_and_what_ended_before_is_recorded(project):
    add_copies()
    Path("1.boom").touch()
    process, ended = DvcProcess(["copy@0", "copy@1", "copy@2"], dict(os.environ)), []
    while process.running:
        ended += process.poll()
        time.sleep(0.1)
    assert [name for name, _ in ended] == ["copy@0"] and process.failed == "copy@1"
    assert "it is broken: 1" in process.text() and "copy@0" not in process.text()
    assert not Path("2.began").exists()
    assert stale() == {f"copy@{i}" for i in COPIES[1:]}


def test_a_terminal_shows_the_stages_that_run_and_the_last_lines_of_their_output(project):
    change("c", "d")
    for name in "cd":
        Path(f"{name}.wait").write_text("go")
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process, shown = subprocess.Popen(["promptseg", "repro"], stderr=terminal), ""
    os.close(terminal)
    with contextlib.suppress(OSError):  # its other end is closed
        while data := os.read(ours, 4096):
            shown += data.decode()
            if all(re.search(rf"\b{name} +\d+ s  log of {name}", shown) for name in "cd"):
                Path("go").touch()
    os.close(ours)
    assert process.wait() == 0 and Path("go").exists()
    states = re.split(r"[\r\n]+|\x1b\[A", shown)
    assert max(map(len, states)) < 60
    assert {line.split()[1] for line in states if re.match(r"\[\d/3\] \w \d+\.\d s", line)} == {*"cde"}


def test_a_folder_without_a_project_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(lambda: repro.reproduce(2, []), "dvc: ")
