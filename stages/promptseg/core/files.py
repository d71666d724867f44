"""Atomic files and folders: written aside in the same folder, synced, then renamed."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from promptseg.core.errors import DISK_FULL, REFUSED


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file or folder atomically.

    The temporary name holds host and process id, so two writers of one output never share it (a killed `dvc` can leave
    its stage running); the leftovers of a killed writer are removed by the next one.

    Args:
        path: output; its parent is created.

    Yields:
        A temporary path beside `path` for the block to fill; it becomes `path` when the block ends without an exception
        and is removed otherwise.

    Raises:
        OSError: where the system refuses to write, with `path` as its file name, whatever the block was writing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    aside, old = (path.parent / f".{path.name}.{socket.gethostname()}{kind}.{os.getpid()}.tmp" for kind in ("", ".old"))
    try:
        yield aside
        _sync(aside)
        if path.is_dir() and not path.is_symlink():
            # os.replace cannot put a folder over a filled one, and of one that is removed in place a kill leaves half.
            os.replace(path, old)
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        of_output = error.filename is None or str(error.filename).startswith(str(aside))
        if error.errno in DISK_FULL or error.errno in REFUSED and of_output:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        _remove(aside)
        _remove(old)


def write_text(path: Path, text: str) -> None:
    """Write a text atomically, as UTF-8 with Unix line ends."""
    with replacing(path) as aside:
        aside.write_bytes(text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys atomically. Raises ValueError for NaN and infinity, which readers do not accept."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Compute the hex digest of a file, or of a folder: that of the names and digests of its files."""
    if path.is_dir():
        inner = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {sha256(file)}\n" for file in inner]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of dead writers of `path` on this host."""
    for stale in path.parent.glob(glob.escape(f".{path.name}.{socket.gethostname()}") + ".*.tmp"):
        pid = stale.name.split(".")[-2]
        # Our own id means an earlier process of the same number, as in a container that counts from 1 at each start.
        if pid.isdigit() and (int(pid) == os.getpid() or not Path(f"/proc/{pid}").exists()):
            _remove(stale)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if not path.is_dir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        return
    for inner in sorted(path.rglob("*")):
        if inner.is_file():
            _sync(inner)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
