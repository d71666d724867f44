"""Processes that start at once: forked from one that has imported what stages need, with limits and their own output.

    with Server() as server:
        process = server.start(STAGES / "evaluate.py", ["data/..."], folder)
        process.kill()
        assert process.wait().code == -9

The parent of all of them adopts what a killed process leaves behind, so `Server.processes` shows every one.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from imports import STAGES

MODULES = (
    "matplotlib.pyplot", "pandas", "promptseg.core.stage", "promptseg.datasets.folder.reader",
    "promptseg.download.checkpoints", "promptseg.download.raw_data", "promptseg.evaluation.evaluate",
    "promptseg.inference.prediction", "promptseg.models.sam", "promptseg.models.unet",
    "promptseg.preprocessing.prepare", "promptseg.preprocessing.preview", "promptseg.report.charts",
    "promptseg.report.page", "promptseg.training.trainer", "pyarrow.parquet", "typer",
)  # fmt: skip


class Ended(NamedTuple):
    """How a process ended. code: of its exit, minus the signal's number where one ended it."""

    code: int
    output: str


@dataclass
class Running:
    """A process of the server's."""

    server: "Server"
    pid: int

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)  # it is not waited for, so the number is still its own

    def wait(self) -> Ended:
        return Ended(*self.server.ask({"wait": self.pid}))


class Server:
    """The process that forks; ends with the block, or with this one."""

    def __enter__(self) -> "Server":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(STAGES), str(Path(__file__).parent)])}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([sys.executable, __file__], env=environment, **pipes)
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(60) == 0

    def start(self, script: Path, arguments: list[str], folder: Path, **settings) -> Running:
        """Run a stage in a folder. settings: as `_run` takes them."""
        job = {"argv": [str(script), *map(str, arguments)], "folder": str(folder), **settings}
        return Running(self, self.ask(job))

    def ask(self, request: dict):
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def processes(self) -> list[psutil.Process]:
        """What runs, with the children of what has ended."""
        return psutil.Process(self._process.pid).children(recursive=True)


def _run(job: dict, out: int) -> None:
    """Become a stage, in the child, that prints into a pipe, since a file would have limits. Never returns.

    file_bytes: no file may be longer; full: whether a longer one is an error, as on a full disk, or the end, as a kill
    at that byte. more_bytes: of memory, beyond what the parent has. open_files: how many at a time. heeds_modes:
    whether root is refused what the modes of files refuse.
    """
    import resource
    import runpy
    import traceback

    code = 1
    try:
        for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, out)):
            os.dup2(source, descriptor)
        os.chdir(job["folder"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if "open_files" in job:
            resource.setrlimit(resource.RLIMIT_NOFILE, (job["open_files"],) * 2)
        if "more_bytes" in job:
            pages = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_DATA, (pages + job["more_bytes"],) * 2)
        if "file_bytes" in job:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if job["full"] else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"],) * 2)
        if job.get("heeds_modes"):
            header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
            assert ctypes.CDLL(None).capset(header, none) == 0  # no capabilities, capset(2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = job["argv"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import importlib

    from promptseg.core import portable

    portable.hold()  # before numpy and torch, as a stage of a study with tiny checkpoints does
    for name in MODULES:
        importlib.import_module(name)
    from PIL import Image
    from promptseg.annotations import formats
    from promptseg.training import checkpoint_manager

    Image.init()
    formats()
    checkpoint_manager.SAVE_INTERVAL = 0.0  # a checkpoint after each epoch, however short
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, linux/prctl.h
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    outputs: dict[int, int] = {}  # the pipe of each process
    for line in sys.stdin:
        request, reply = json.loads(line), None
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            with open(outputs.pop(request["wait"]), "rb") as pipe:
                os.set_blocking(pipe.fileno(), False)  # a child of it may live, and hold the other end
                reply = os.waitstatus_to_exitcode(status), (pipe.read() or b"").decode(errors="replace")
        else:
            pipe, out = os.pipe()
            if (reply := os.fork()) == 0:
                _run(request, out)
            os.close(out)
            outputs[reply] = pipe
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    _serve()
