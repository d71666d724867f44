"""Interrupted downloads: resumed where the file is still the same, and two versions are never joined."""

import hashlib
import signal
import subprocess
import sys
import threading

import pytest
from file_server import BODY, CHECKED, cache, file, out, received, refused, server
from promptseg.core.errors import UserError
from promptseg.download import http as fetching
from promptseg.download.http import fetch
from promptseg.download.partial import held

__all__ = ["cache", "out", "server"]
MONDAY, TUESDAY = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
OTHER = BODY[::-1]


@pytest.mark.parametrize("version", [{"etag": '"one"'}, {"modified": MONDAY}])
def test_a_cut_connection_is_resumed_as_long_as_there_is_progress(server, out, cache, version, monkeypatch):
    monkeypatch.setattr(fetching, "STEP", 20_000)
    server.plan = [file(cut=40_000, **version)]
    fetch(server.url, out)
    assert out.read_bytes() == BODY and len(server.ranges) > fetching.TRIES
    starts = [int((requested or "bytes=0-")[6:-1]) for requested, _ in server.ranges]
    assert starts == sorted(starts) and 30_000 < starts[1] <= 40_000
    assert {validator for _, validator in server.ranges[1:]} == set(version.values())
    assert [path.suffix for path in cache.iterdir()] in ([], [".lock"]), "a complete download leaves nothing behind"


def test_a_later_try_resumes(server, out, cache, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=100_000, **CHECKED), file(**CHECKED)]
    refused(server.url, out, "of 256,000 bytes came")
    requested = f"bytes={received(cache)}-"
    fetch(server.url, out)
    assert out.read_bytes() == BODY and server.ranges[1:] == [(requested, '"one"')]


def test_another_process_resumes_after_a_kill(server, out, cache):
    stop = threading.Event()

    def stall(handler):
        file(**CHECKED, cut=200_000)(handler)
        handler.wfile.flush()
        stop.wait(20)

    server.plan = [stall, file(**CHECKED)]
    code = f"from promptseg.download.http import fetch; fetch({server.url!r}, {str(out)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        for _ in range(1000):
            if received(cache) > 100_000:
                break
            stop.wait(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
    assert not list(out.parent.iterdir())
    before = received(cache)
    fetch(server.url, out)
    assert out.read_bytes() == BODY and server.ranges[1] == (f"bytes={before}-", '"one"')


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize(
    "before, after",
    [
        ({"etag": '"one"'}, {"etag": '"two"'}),
        ({"etag": 'W/"one"'}, {"etag": 'W/"two"'}),
        ({"modified": MONDAY}, {"modified": TUESDAY}),
        ({"etag": '"one"'}, {"etag": '"one"', "body": OTHER + b"longer"}),
        ({"etag": '"one"', "ranges": False}, {"etag": '"one"', "ranges": False}),  # the server ignores ranges
    ],
)
def test_two_versions_are_never_joined(server, out, before, after, honest):
    after = {"body": OTHER, **after}
    server.plan = [file(cut=100_000, **before), file(honest=honest, **after)]
    fetch(server.url, out)
    assert out.read_bytes() == after["body"] and server.ranges[1][0]
    assert not (server.ranges[1][1] or "").startswith("W/"), "RFC 9110 forbids weak validators here"


def test_without_a_version_only_a_checksum_allows_to_resume(server, out):
    server.plan = [file(cut=100_000), file()]
    fetch(server.url, out)
    assert server.ranges == [(None, None)] * 2
    server.ranges.clear()
    fetch(server.url, out, sha256=hashlib.sha256(BODY).hexdigest())
    assert out.read_bytes() == BODY and server.ranges[0][0] is None and server.ranges[1][0]


def test_a_refused_range_starts_again(server, out):
    server.plan = [file(cut=100_000, **CHECKED), file(b"", status=416), file(**CHECKED)]
    fetch(server.url, out)
    assert out.read_bytes() == BODY and server.ranges[2] == (None, None)


@pytest.mark.parametrize("note", [b"", b"[1]", b'{"etag": ', b"\xff"])
def test_a_damaged_version_starts_again(server, out, cache, monkeypatch, note):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=100_000, **CHECKED), file(**CHECKED)]
    refused(server.url, out)
    next(cache.glob("*.json")).write_bytes(note)
    fetch(server.url, out)
    assert out.read_bytes() == BODY and server.ranges[1] == (None, None)


def test_two_downloads_of_one_address_take_turns(server, tmp_path, capfd):
    threads = [threading.Thread(target=fetch, args=(server.url, tmp_path / name), daemon=True) for name in ("a", "b")]
    with held(server.url):
        for thread in threads:
            thread.start()
            thread.join(0.1)
            assert thread.is_alive() and server.ranges == []
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == BODY
    assert "another process is downloading this file" in capfd.readouterr().err


def test_a_cache_that_cannot_be_written(out, monkeypatch, tmp_path_factory):
    taken = tmp_path_factory.mktemp("taken") / "file"
    taken.write_bytes(b"")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(taken / "below"))
    with pytest.raises(UserError, match=f"^{taken / 'below'}: .* set PROMPTSEG_CACHE"):
        fetch("http://127.0.0.1:9/x", out)


def test_the_cache_stores_no_address(server, out, cache, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=100_000, **CHECKED)]
    with pytest.raises(UserError, match="truncated"):
        fetch(server.url.replace("//", "//me:secret@"), out)
    assert received(cache)
    for path in cache.iterdir():
        assert "secret" not in path.name and b"secret" not in path.read_bytes()
