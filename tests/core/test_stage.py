"""Stage entry point: exit codes and messages, death of the parent, offline mode, late imports."""

import functools
import os
import signal
import subprocess
import sys
import time

import pytest
from imports import PACKAGE, STAGES, reached

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")} | {
    "PYTHONPATH": str(STAGES)
}


@pytest.fixture
def script(tmp_path):
    """Write a stage with this body."""

    def make(body, options=""):
        path = tmp_path / "verb.py"
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        path.write_text(
            "import os, sys, time\n"
            "from pathlib import Path\n"
            "from promptseg.core import files, stage\n"
            "from promptseg.core.errors import UserError\n\n\n"
            f"def main(name: str, out: Path = Path('out')):\n{lines}\n\n\n"
            f"stage.run(main{options})\n"
        )
        return [sys.executable, str(path), "em"]

    return make


def run(command, folder):
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)


def test_a_stage_that_succeeds_exits_with_0(script, tmp_path):
    done = run(script("print(name, out)"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "em out\n", "")


@pytest.mark.parametrize(
    "body, line",
    [
        ("raise UserError('a.png: truncated; fetch it again')", "error: a.png: truncated; fetch it again"),
        ("raise UserError('a\\nb.png:\\n\\n two  lines')", "error: a b.png: two lines"),
        ("open('missing/a.txt')", "error: missing/a.txt: No such file or directory"),
        ("os.mkdir('verb.py/x')", "error: verb.py/x: Not a directory"),
        ("open('/')", "error: /: Is a directory"),
        ("open('x' * 300)", f"error: {'x' * 300}: File name too long"),
        ("raise PermissionError(13, 'Permission denied', 'a.png')", "error: a.png: Permission denied"),
        ("raise OSError(30, 'Read-only file system', 'a.png')", "error: a.png: Read-only file system"),
        ("raise OSError(24, 'Too many open files', 'a.png')", "error: a.png: Too many open files"),
        ("raise OSError(28, 'No space left on device', 'a.png')", "error: a.png: No space left on device"),
        ("raise OSError(28, 'No space left on device')", "error: output: No space left on device"),
        ("raise OSError(122, 'Disk quota exceeded')", "error: output: Disk quota exceeded"),
    ],
)
def test_what_the_user_can_fix_is_one_line(script, tmp_path, body, line):
    done = run(script(body), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line + "\n")


@pytest.mark.parametrize(
    "body",
    [
        "{}['no such key']",
        "assert 0, 'never'",
        "raise ValueError('of ours')",
        "raise OSError('without a number')",
        "raise OSError(2, 'No such file or directory')",  # without a name it tells the user nothing
        "raise OSError(5, 'Input/output error', 'a.png')",
        "os.write(99, b'')",  # bad file descriptor
        "__import__('socket').create_connection(('127.0.0.1', 9))",  # connection refused
    ],
)
def test_a_bug_keeps_its_traceback(script, tmp_path, body):
    done = run(script(body), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and "verb.py" in done.stderr and "\nerror: " not in done.stderr


def test_a_wrong_argument_shows_the_usage(script, tmp_path):
    done = run([*script("print(name)"), "one too many"], tmp_path)
    assert done.returncode == 2 and "Usage" in done.stderr and "Traceback" not in done.stderr


WRITING = """\
with files.replacing(out) as aside:
    aside.write_text("half")
    print("writing", flush=True)
    time.sleep(30)
"""


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_that_is_terminated_leaves_nothing_behind(script, tmp_path, number, code):
    command = script(WRITING)
    before = sorted(tmp_path.iterdir())
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, preexec_fn=listen, **pipes) as child:
        assert child.stdout.readline() == "writing\n"
        assert len(list(tmp_path.glob(".out.*.tmp"))) == 1
        child.send_signal(number)
        assert child.wait(5) == code
        assert "Traceback" not in child.stderr.read()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent")
def test_a_stage_dies_with_its_parent(script, tmp_path):
    command = script("print(os.getpid(), flush=True)\ntime.sleep(30)")
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    with subprocess.Popen(parent, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
        stage = int(child.stdout.readline())
        child.kill()
        child.wait()
        start = time.monotonic()
        try:
            assert child.stdout.read() == ""  # ends when the last process that holds the pipe is gone
            assert time.monotonic() - start < 10  # of its 30; at once, but this machine may be busy
        finally:
            if time.monotonic() - start > 10:
                os.kill(stage, signal.SIGKILL)


@pytest.mark.parametrize("options, offline", [("", "1 1"), (", network=True", "None None")])
def test_stages_without_network_are_offline(script, tmp_path, options, offline):
    body = "print(os.environ.get('HF_HUB_OFFLINE'), os.environ.get('TRANSFORMERS_OFFLINE'))"
    assert run(script(body, options), tmp_path).stdout == offline + "\n"


def test_only_download_and_checkpoint_use_the_network():
    online = {path.stem for path in STAGES.glob("*.py") if "network=True" in path.read_text()}
    assert online == {"download", "checkpoint"}


def test_every_verb_is_a_stage_with_late_imports():
    verbs = sorted(STAGES.glob("*.py"))
    assert len(verbs) >= 7
    for path in verbs:
        lines = path.read_text().splitlines()
        assert [line for line in lines if line.startswith("    stage.run(main")], path
        top = {line for line in lines if line.startswith(("import ", "from "))}
        assert top <= {"from pathlib import Path", "from promptseg.core import stage"}, path
        assert len(lines) < 40, path


LIGHT = [verb for verb in ("download", "preprocess", "evaluate", "report") if (STAGES / f"{verb}.py").exists()]


@pytest.mark.parametrize("verb", LIGHT)
def test_a_stage_without_a_model_does_not_import_torch(verb, tmp_path):
    starts = [STAGES / f"{verb}.py"]
    if verb in ("download", "preprocess"):
        starts += sorted((PACKAGE / "datasets").rglob("*.py"))
    files = set().union(*map(reached, starts)) - {STAGES / f"{verb}.py"}
    assert len(files) > 5
    names = (".".join(path.relative_to(STAGES).with_suffix("").parts) for path in files)
    modules = sorted(name.removesuffix(".__init__") for name in names)
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
    code += "print(*sorted({'torch', 'transformers', 'accelerate', 'torchvision'} & set(sys.modules)))"
    done = run([sys.executable, "-c", code], tmp_path)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
