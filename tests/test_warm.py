"""A stage that a warm server runs is the stage as it is: output, exit code, folder, environment, death."""

import os
import subprocess
import sys
import time

import pytest
from promptseg.core import warm

SCRIPT = """
import os, sys, time
from promptseg.core import stage

def main(what: str):
    print("cwd", os.path.basename(os.getcwd()), "ppid is server", str(os.getppid() == int(os.environ["SERVER"])))
    print("to stderr", file=sys.stderr)
    print("numpy was there", "numpy" in sys.modules, os.environ.get("GIVEN"), file=open("out.txt", "w"))
    if what == "problem":
        from promptseg.core.errors import UserError
        raise UserError("it is wrong")
    if what == "crash":
        raise RuntimeError("boom")
    if what == "sleep":
        time.sleep(60)

if __name__ == "__main__":
    stage.run(main, network=len(sys.argv) > 2 and sys.argv.pop() == "network")
"""


@pytest.fixture
def run(tmp_path, root, monkeypatch):
    """Starts the script with a server beside it; gives the process."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(root / "stages")}
    quick = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from promptseg.core import warm; warm.PRELOAD = ('numpy',)\n"
    )
    quick += "sys.path.pop(0); [sys.modules.pop(n) for n in list(sys.modules) if n.startswith('promptseg')]\n"
    address = str(tmp_path / "socket")
    command = [sys.executable, "-P", "-c", quick + "warm.serve(sys.argv[1])", str(root / "stages"), address]
    server = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 30
    while not os.path.exists(address) and time.monotonic() < deadline:
        time.sleep(0.05)
    environment |= {warm.ADDRESS: address, "SERVER": str(server.pid), "GIVEN": "é; $(x)"}

    def start(*arguments):
        command = [sys.executable, "script.py", *arguments]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)

    yield start
    server.kill()
    server.wait()


@pytest.mark.parametrize(
    "what, code, last", [("fine", 0, "to stderr"), ("problem", 1, "error: it is wrong"), ("crash", 1, "boom")]
)
def test_output_and_exit_code_are_the_stage_s_own(run, tmp_path, what, code, last):
    process = run(what)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, f"cwd {tmp_path.name} ppid is server True\n")
    assert err.splitlines()[0] == "to stderr" and last in err.splitlines()[-1]
    assert (tmp_path / "out.txt").read_text() == "numpy was there True é; $(x)\n"


def test_one_after_the_other_and_side_by_side(run):
    for _ in range(2):
        processes = [run("fine") for _ in range(3)]
        assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]


def test_a_stage_that_may_use_the_network_runs_by_itself(run):
    out, _ = run("fine", "network").communicate(timeout=60)
    assert "ppid is server False" in out


def test_a_killed_stage_takes_what_runs_in_its_name_with_it(run, tmp_path):
    process = run("sleep")
    while not (tmp_path / "out.txt").exists():
        time.sleep(0.05)
    pids = subprocess.run(["pgrep", "-f", "warm.serve"], capture_output=True, text=True).stdout.split()
    assert len(pids) >= 2  # the server and its child
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while len(subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True).stdout.split()) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_a_server_a_stage_runs_by_itself(run, tmp_path, monkeypatch):
    process = subprocess.run(
        [sys.executable, "script.py", "fine"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, warm.ADDRESS: str(tmp_path / "nobody"), "SERVER": "0"},
    )  # fmt: skip
    assert process.returncode == 0 and "ppid is server False" in process.stdout
