"""Atomic files: outputs are whole or absent, whatever happens to the writer."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from imports import STAGES
from promptseg.core.files import replacing, sha256, write_json, write_text

DEAD = 2**22 + 1  # Linux gives no process a larger id than 2**22
WHOLE = {"file": "new", "folder": {"inner/a": "new"}}
KINDS = pytest.mark.parametrize("kind", WHOLE)


def leftover(path, pid, host=None):
    return path.parent / f".{path.name}.{host or socket.gethostname()}.{pid}.tmp"


def fill(path, text, kind):
    if kind == "folder":
        path = path / "inner" / "a"
        path.parent.mkdir(parents=True)
    path.write_text(text)


def content(path):
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize(
    "before, kind", [(None, "file"), (None, "folder"), ("file", "file"), ("folder", "folder"), ("folder", "file")]
)
def test_the_output_is_replaced_as_a_whole_when_the_block_ends_and_not_before(tmp_path, before, kind):
    out = tmp_path / "new" / "out"
    if before:
        out.parent.mkdir()
        fill(out, "old", before)
    if before == "folder":
        (out / "only in the old one").write_text("x")
    old = content(out)
    with replacing(out) as aside:
        fill(aside, "new", kind)
        assert content(out) == old and aside.parent == out.parent
    assert content(out) == WHOLE[kind] and os.listdir(out.parent) == ["out"]


@KINDS
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_output_or_none_and_nothing_else(tmp_path, kind, failure):
    out = tmp_path / "out"
    for names in ([], ["out"]):
        if names:
            fill(out, "old", kind)
        before = content(out)
        with pytest.raises(failure), replacing(out) as aside:
            fill(aside, "half", kind)
            raise failure
        assert content(out) == before and os.listdir(tmp_path) == names


@pytest.mark.parametrize("name", ["out", "a[1]*.json"])
@KINDS
def test_leftovers_of_dead_writers_are_removed_and_other_files_left_alone(tmp_path, kind, name):
    """One with our own process id is of a dead writer: containers count their processes from 1 at each start."""
    out = tmp_path / name
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as alive:
        removed = [leftover(out, DEAD), leftover(out, os.getpid())]
        untouched = [
            leftover(out, alive.pid), leftover(tmp_path / "another", DEAD), leftover(out, DEAD, "some-other-host"),
            tmp_path / ".out.tmp",
        ]  # fmt: skip
        for path in (*removed, *untouched):
            fill(path, "x", kind)
        with replacing(out) as aside:
            assert not any(path.exists() for path in removed)
            fill(aside, "new", kind)
    assert content(out) == WHOLE[kind] and sorted(tmp_path.iterdir()) == sorted([out, *untouched])


def test_killed_in_the_middle_of_writing_leaves_the_old_content(tmp_path):
    out = tmp_path / "out"
    out.write_text("old")
    script = f"""
from pathlib import Path
from promptseg.core.files import replacing
with replacing(Path({str(out)!r})) as aside:
    aside.write_text("half")
    print("writing", flush=True)
    input()
"""
    environment = {**os.environ, "PYTHONPATH": str(STAGES)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes) as child:
        assert child.stdout.readline() == "writing\n"
        assert out.read_text() == "old" and leftover(out, child.pid).read_text() == "half"
        child.kill()
    assert child.returncode == -signal.SIGKILL and out.read_text() == "old"
    write_text(out, "new")
    assert out.read_text() == "new" and os.listdir(tmp_path) == ["out"]


def test_an_old_folder_is_removed_after_the_new_one_is_in_its_place(tmp_path, monkeypatch):
    """In place, a kill would leave half of it."""
    out, whole = tmp_path / "out", []
    fill(out, "old", "folder")
    remove = shutil.rmtree

    def removed(path, **named):
        whole.append((path.name != "out", content(out)))
        remove(path, **named)

    monkeypatch.setattr(shutil, "rmtree", removed)
    with replacing(out) as aside:
        fill(aside, "new", "folder")
    assert whole == [(True, WHOLE["folder"])] and os.listdir(tmp_path) == ["out"]


@KINDS
def test_content_is_synced_before_the_rename_and_the_folder_after_it(tmp_path, kind, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(source, target):
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    with replacing(tmp_path / "out") as aside:
        fill(aside, "new", kind)
    inside = [str(aside)] if kind == "file" else [str(aside / "inner" / "a"), str(aside)]
    assert steps == [*inside, "rename", str(tmp_path)]


def test_texts_are_utf8_and_json_is_sorted_without_nan_or_infinity(tmp_path):
    path = tmp_path / "a"
    write_text(path, "é\nb\n")
    assert path.read_bytes() == b"\xc3\xa9\nb\n"
    write_json(path, {"b": 1, "a": [0.5, "é"]})
    written = path.read_text("utf-8")
    assert written == '{\n  "a": [\n    0.5,\n    "é"\n  ],\n  "b": 1\n}\n'
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError):
            write_json(path, {"iou": value})
        assert path.read_text("utf-8") == written and os.listdir(tmp_path) == ["a"]


def test_sha256_of_a_file_is_the_known_one_and_that_of_a_folder_covers_names_and_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    digests = []
    for i, (one, other, name, inner) in enumerate(
        (("one", "three", "a", "inner/b"), ("one", "three", "a", "inner/b"), ("one", "three", "aa", "inner/b"),
         ("three", "one", "a", "inner/b"), ("one", "three", "a", "b"))
    ):  # fmt: skip
        (tmp_path / f"{i}/inner").mkdir(parents=True)
        (tmp_path / f"{i}/{inner}").write_text(other)
        (tmp_path / f"{i}/{name}").write_text(one)
        digests.append(sha256(tmp_path / f"{i}"))
    assert digests[0] == digests[1] and len(set(digests)) == 4
