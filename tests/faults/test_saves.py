"""Each writer is ended at a byte of its file, or meets a full disk: the old file stays, or the new one is whole."""

from pathlib import Path

import pytest
import writers
from promptseg.core import files
from small_study import leftovers

pytestmark = pytest.mark.xdist_group("faults")
KINDS = pytest.mark.parametrize("kind", writers.WRITERS)


@pytest.fixture
def write(server, tmp_path):
    """Writes a kind of file into the test's folder, with limits; returns how that ended, and the path."""

    def run(kind, **limits):
        ended = server.start(Path(writers.__file__), [kind, str(tmp_path)], tmp_path, **limits).wait()
        return ended, tmp_path / writers.WRITERS[kind].name

    return run


def put_old(path):
    """A file or folder of the same name that was there before."""
    if path.is_dir():
        for inner in path.iterdir():
            inner.write_bytes(b"old " + inner.name.encode())
    else:
        path.write_bytes(b"old")
    return files.sha256(path)


def lengths(path):
    """Bytes after which a write is cut off: 0, 1, half and all but one of each file."""
    sizes = {file.stat().st_size for file in ([path] if path.is_file() else path.iterdir())}
    return sorted({at for size in sizes for at in (0, 1, size // 2, size - 1)})


@KINDS
def test_a_kill_at_a_byte_leaves_the_old_file_and_the_next_write_is_whole(kind, write, tmp_path):
    ended, path = write(kind)
    assert ended.code == 0, ended.output
    whole, limits = files.sha256(path), lengths(path)
    assert len(limits) > 3
    old = put_old(path)
    for limit in limits:
        ended, _ = write(kind, file_bytes=limit, full=False)
        assert ended.code == -25, f"{limit}: {ended}"  # SIGXFSZ
        assert files.sha256(path) == old and leftovers(tmp_path)
    assert write(kind)[0].code == 0
    assert files.sha256(path) == whole and leftovers(tmp_path) == []


@KINDS
def test_a_full_disk_is_one_line_that_names_the_output_and_leaves_the_old_file(kind, write, tmp_path):
    _, path = write(kind)
    limits, old = lengths(path), put_old(path)
    for limit in limits:
        ended, _ = write(kind, file_bytes=limit, full=True)
        assert ended.code == 1, f"{limit}: {ended}"
        assert ended.output.startswith(f"error: {path}: ") and ended.output.count("\n") == 1, ended.output
        assert files.sha256(path) == old and leftovers(tmp_path) == []
