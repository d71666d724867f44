"""Atomic files: outputs are whole or absent, whatever happens to the writer."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from imports import STAGES
from promptseg.core.files import replacing, sha256, write_json, write_text


def leftover(path, pid):
    return path.parent / f".{path.name}.{socket.gethostname()}.{pid}.tmp"


@pytest.fixture
def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    return child.pid


@pytest.fixture
def alive():
    """Process id of a process that lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.stdin.close()


def fill_file(path, text):
    path.write_text(text)


def fill_folder(path, text):
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "a").write_text(text)


def content(path):
    return path.read_text() if path.is_file() else {p.name: p.read_text() for p in path.rglob("*") if p.is_file()}


KINDS = pytest.mark.parametrize("fill", [fill_file, fill_folder])


@KINDS
def test_the_output_appears_when_the_block_ends_and_not_before(tmp_path, fill):
    out = tmp_path / "new" / "out"
    with replacing(out) as aside:
        fill(aside, "one")
        assert not out.exists() and aside.parent == out.parent
    assert content(out) == ("one" if fill is fill_file else {"a": "one"})
    assert os.listdir(out.parent) == ["out"]


@pytest.mark.parametrize("before, fill", [(fill_file, fill_file), (fill_folder, fill_folder), (fill_folder, fill_file)])
def test_the_old_output_is_replaced_as_a_whole(tmp_path, before, fill):
    out = tmp_path / "out"
    before(out, "old")
    if before is fill_folder:
        (out / "only in the old one").write_text("x")
    with replacing(out) as aside:
        fill(aside, "new")
    assert content(out) == ("new" if fill is fill_file else {"a": "new"})
    assert os.listdir(tmp_path) == ["out"]


@KINDS
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_output_and_nothing_else(tmp_path, fill, failure):
    out = tmp_path / "out"
    fill(out, "old")
    before = content(out)
    with pytest.raises(failure), replacing(out) as aside:
        fill(aside, "half")
        raise failure
    assert content(out) == before
    assert os.listdir(tmp_path) == ["out"]


@KINDS
def test_a_failure_without_an_old_output_leaves_nothing(tmp_path, fill):
    with pytest.raises(ValueError), replacing(tmp_path / "out") as aside:
        fill(aside, "half")
        raise ValueError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["out", "a[1]*.json"])
@KINDS
def test_leftovers_of_a_dead_writer_are_removed(tmp_path, fill, name, dead_pid):
    out = tmp_path / name
    fill(leftover(out, dead_pid), "stale")
    with replacing(out) as aside:
        assert not leftover(out, dead_pid).exists()
        fill(aside, "new")
    assert os.listdir(tmp_path) == [name]


def test_a_leftover_with_our_own_process_id_is_removed(tmp_path):
    """Containers count their processes from 1 at each start, so a killed stage and the next one share a number."""
    out = tmp_path / "out"
    fill_folder(leftover(out, os.getpid()), "stale")
    with replacing(out) as aside:
        aside.mkdir()
        (aside / "b").write_text("new")
    assert content(out) == {"b": "new"}


def test_files_of_other_writers_are_left_alone(tmp_path, alive, dead_pid):
    out = tmp_path / "out"
    untouched = [
        leftover(out, alive),
        leftover(tmp_path / "another", dead_pid),
        tmp_path / f".out.some-other-host.{dead_pid}.tmp",
        tmp_path / ".out.tmp",
    ]
    for path in untouched:
        path.write_text("not ours")
    write_text(out, "new")
    assert sorted(tmp_path.iterdir()) == sorted([out, *untouched])


def test_killed_in_the_middle_of_writing_leaves_the_old_content(tmp_path):
    out = tmp_path / "out"
    out.write_text("old")
    script = f"""
from pathlib import Path
from promptseg.core.files import replacing
with replacing(Path({str(out)!r})) as aside:
    with open(aside, "w") as file:
        file.write("half")
        file.flush()
        print("writing", flush=True)
        input()
"""
    environment = {**os.environ, "PYTHONPATH": str(STAGES)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes) as child:
        assert child.stdout.readline() == "writing\n"
        assert out.read_text() == "old" and leftover(out, child.pid).read_text() == "half"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert out.read_text() == "old"
    write_text(out, "new")
    assert out.read_text() == "new" and os.listdir(tmp_path) == ["out"]


@KINDS
def test_content_is_synced_before_the_rename_and_the_folder_after_it(tmp_path, fill, monkeypatch):
    out, steps = tmp_path / "out", []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    with replacing(out) as aside:
        fill(aside, "new")
    inside = [str(aside)] if fill is fill_file else [str(aside / "inner" / "a"), str(aside)]
    assert steps == [*inside, "rename", str(tmp_path)]


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "a", "é\nb\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\nb\n"


def test_json_is_sorted_and_ends_in_a_line_end(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": [0.5, "é"]})
    assert (tmp_path / "a").read_text("utf-8") == '{\n  "a": [\n    0.5,\n    "é"\n  ],\n  "b": 1\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_with_nan_or_infinity_is_refused_and_the_old_file_stays(tmp_path, value):
    write_json(tmp_path / "a", {"iou": 0.5})
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(ValueError):
        write_json(tmp_path / "a", {"iou": value})
    assert (tmp_path / "a").read_bytes() == before and os.listdir(tmp_path) == ["a"]


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_sha256_of_a_folder_covers_names_and_contents(tmp_path):
    def digest(folder, contents):
        for name, text in contents.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(text)
        return sha256(tmp_path / folder)

    first = digest("first", {"a": "one", "inner/b": "three"})
    assert digest("second", {"inner/b": "three", "a": "one"}) == first
    different = [{"aa": "one", "inner/b": "three"}, {"a": "three", "inner/b": "one"}, {"a": "one", "b": "three"}]
    assert len({first, *(digest(f"different {i}", contents) for i, contents in enumerate(different))}) == 4
