"""A process that has imported what stages and DVC import, and forks one for each that asks: it starts at once.

Half of a small stage's time goes into importing torch and transformers. `promptseg repro` starts this server and names
its socket in the environment; a stage (see stage.py) hands over its arguments, folder, environment and open files, and
waits for its exit code; so does DVC itself (see quick_dvc.py). Nothing of promptseg is imported here, so a stage
always runs the code that is on disk.
Linux alone has what this needs; elsewhere, and where no server answers, a stage imports for itself as ever.
"""

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

ADDRESS = "PROMPTSEG_WARM"  # environment variable: the server's socket
FORK = "PROMPTSEG_FORK"  # the process id of a fork, which is not to hand itself over; what it starts may
PRELOAD = (
    "dvc.cli", "dvc.commands.repro", "dvc.repo.reproduce",
    "cv2", "numpy", "pandas", "pyarrow.parquet", "pydantic", "tifffile", "typer", "yaml", "matplotlib.figure", "torch",
    "accelerate", "segmentation_models_pytorch", "transformers.models.sam.modeling_sam",
    "transformers.models.sam2.modeling_sam2", "transformers.models.clipseg.modeling_clipseg",
    "transformers.models.clip.tokenization_clip",
)  # fmt: skip
_MOST = 1 << 20  # bytes of a request: arguments and environment


def hand_over() -> None:
    """Let the server run this very script, if there is one, and end with its exit code; otherwise return."""
    address = os.environ.get(ADDRESS)
    if not address or os.environ.get(FORK) == str(os.getpid()):
        return
    request = {"argv": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        except OSError:  # not ready yet, or no longer there
            return
        answer = connection.recv(16)
    sys.exit(int(answer) if answer else 1)  # no answer: the server is gone, and its stages with it


@contextlib.contextmanager
def server(folder: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run a server for the time of the block; yields the environment for stages that are to use it."""
    import subprocess

    from promptseg.core.stage import tied_to_parent

    if not hasattr(os, "pidfd_open"):
        yield environment
        return
    address = str(folder / "warm")
    # -P: else our own folder would come before the libraries, and names.py or stage.py in their place.
    command = [sys.executable, "-P", __file__, address]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, preexec_fn=tied_to_parent)
    try:
        yield {**environment, ADDRESS: address}
    finally:
        process.terminate()
        process.wait()


def serve(address: str) -> None:
    """Answer until terminated. One thread alone: what others might hold at a fork would stay locked in the child."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")  # read when the hub's library is imported
    for name in PRELOAD:
        with contextlib.suppress(ImportError):  # of another version; the stage will import what it needs
            importlib.import_module(name)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address + ".new")
    listening.listen()
    os.rename(address + ".new", address)  # whoever finds it, finds it ready
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ, None)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                connection, _ = listening.accept()
                child = _fork(connection)
                exited = os.pidfd_open(child)
                selector.register(connection, selectors.EVENT_READ, (connection, child, exited))
                selector.register(exited, selectors.EVENT_READ, (connection, child, exited))
                continue
            connection, child, exited = key.data
            if key.fileobj is connection:  # the stage was killed: so is what runs in its name
                os.kill(child, signal.SIGTERM)
                selector.unregister(connection)
                continue
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):
                connection.send(str(code if code >= 0 else 128 - code).encode())
            selector.unregister(exited)
            with contextlib.suppress(KeyError):
                selector.unregister(connection)
            os.close(exited)
            connection.close()


def _fork(connection: socket.socket) -> int:
    """A child that becomes the stage which asks over `connection`; its process id."""
    message, descriptors, _, _ = socket.recv_fds(connection, _MOST, 3)
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        return child
    code = 1
    try:
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 4096)  # the server's sockets: held open here, they would hide its end from other stages
        request = json.loads(message)
        os.environ.clear()
        os.environ.update(request["environment"], **{FORK: str(os.getpid())})
        os.chdir(request["folder"])
        sys.argv[:] = request["argv"]
        sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # without what the server would do at its end


if __name__ == "__main__":
    serve(sys.argv[1])
