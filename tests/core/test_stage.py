"""Stage entry point: exit codes and messages, death of the parent, offline mode, late imports."""

import errno
import functools
import os
import signal
import subprocess
import sys
import time

import pytest
from imports import PACKAGE, STAGES, reached
from promptseg.core import stage

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")} | {
    "PYTHONPATH": str(STAGES)
}
SCRIPT = """
import os, sys, time
from pathlib import Path
from promptseg.core import files, stage
from promptseg.core.errors import UserError


def main(name: str, out: Path = Path("out")):
    {body}


stage.run(main{options})
"""


@pytest.fixture
def script(tmp_path):
    """The command of a stage with this body."""

    def write(body, options=""):
        path = tmp_path / "verb.py"
        path.write_text(SCRIPT.format(body=body.replace("\n", "\n    "), options=options))
        return [sys.executable, str(path), "em"]

    return write


def run(command, folder):
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


OFFLINE = "os.environ.get('HF_HUB_OFFLINE'), os.environ.get('TRANSFORMERS_OFFLINE')"


@pytest.mark.parametrize(
    "body, options, more, code, out, err",
    [
        (f"print(name, out, {OFFLINE})", "", [], 0, "em out 1 1\n", ""),
        (f"print({OFFLINE})", ", network=True", [], 0, "None None\n", ""),
        ("raise UserError('a\\nb.png:\\n\\n two  lines')", "", [], 1, "", "error: a b.png: two lines\n"),
        ("open('missing/a.txt')", "", [], 1, "", "error: missing/a.txt: No such file or directory\n"),
        ("{}['no such key']", "", [], 1, "", "Traceback verb.py"),
        ("print(name)", "", ["one too many"], 2, "", "Usage"),
    ],
)
def test_the_exit_code_and_the_output_of_a_stage(script, tmp_path, body, options, more, code, out, err):
    done = run([*script(body, options), *more], tmp_path)
    assert (done.returncode, done.stdout) == (code, out)
    if err.endswith("\n") or not err:
        assert done.stderr == err
    assert all(word in done.stderr for word in err.split()) and "\nerror: " not in done.stderr
    assert done.stderr.startswith("Traceback") == err.startswith("Traceback")


def guarded(error):
    def fail():
        raise error

    stage.guarded(fail)


REMEDIABLE = [
    "ENOENT", "EACCES", "EPERM", "EFBIG", "EROFS", "EISDIR", "ENOTDIR", "ENAMETOOLONG", "EMFILE", "ENFILE", "ENOSPC",
    "EDQUOT", "ENOMEM",
]  # fmt: skip


@pytest.mark.parametrize(
    "error, line",
    [(OSError(getattr(errno, name), name, "a.png"), f"a.png: {name}") for name in REMEDIABLE]
    + [
        (OSError(errno.ENOSPC, "No space"), "output: No space"),
        (OSError(errno.EDQUOT, "Quota"), "output: Quota"),
        (OSError(errno.EFBIG, "Limit"), "output: Limit"),
        (OSError(errno.EMFILE, "Many"), "ulimit -n: Many"),
    ],
)
def test_what_the_user_can_fix_is_one_line(error, line, capsys):
    with pytest.raises(SystemExit) as ended:
        guarded(error)
    assert ended.value.code == 1 and capsys.readouterr() == ("", f"error: {line}\n")


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("of ours"), AssertionError(), OSError("without a number"), ConnectionRefusedError(111, "refused"),
        OSError(errno.ENOENT, "No such file"), OSError(errno.EIO, "I/O", "a.png"), OSError(errno.EBADF, "Bad file"),
    ],
)  # fmt: skip
def test_a_bug_keeps_its_traceback(bug):
    with pytest.raises(type(bug)):
        guarded(bug)


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
        assert child.wait(20) == code
        assert "Traceback" not in child.stderr.read()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a process to its parent")
def test_a_stage_dies_with_its_parent(script, tmp_path):
    command = script("print(os.getpid(), flush=True)\ntime.sleep(60)")
    parent = [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    with subprocess.Popen(parent, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as child:
        assert int(child.stdout.readline()) > 1
        child.kill()
        start = time.monotonic()
        assert child.stdout.read() == ""  # ends when the last process that holds the pipe is gone
        assert time.monotonic() - start < 30  # of its 60; at once, but the machine may be busy


def test_every_verb_is_a_stage_with_late_imports_and_two_of_them_use_the_network():
    verbs = sorted(STAGES.glob("*.py"))
    assert len(verbs) >= 7
    for path in verbs:
        lines = path.read_text().splitlines()
        assert [line for line in lines if line.startswith("    stage.run(main")], path
        top = {line for line in lines if line.startswith(("import ", "from "))}
        assert top <= {"from pathlib import Path", "from promptseg.core import stage"}, path
        assert len(lines) < 40, path
    assert {path.stem for path in verbs if "network=True" in path.read_text()} == {"download", "checkpoint"}


def test_a_stage_without_a_model_does_not_import_torch(tmp_path):
    scripts = {STAGES / f"{verb}.py" for verb in ("download", "preprocess", "evaluate", "report")}
    files = set().union(*map(reached, [*scripts, *(PACKAGE / "datasets").rglob("*.py")])) - scripts
    assert len(files) > 50
    names = (".".join(path.relative_to(STAGES).with_suffix("").parts) for path in files)
    modules = sorted(name.removesuffix(".__init__") for name in names)
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
    code += "print(*sorted({'torch', 'transformers', 'accelerate', 'torchvision'} & set(sys.modules)))"
    done = run([sys.executable, "-c", code], tmp_path)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
