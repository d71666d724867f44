"""Downloads from a local server: complete, refused, truncated; never half a file, always one line."""

import builtins
import errno
import gzip
import hashlib
import http.server
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
import requests
import urllib3
from promptseg.core.errors import UserError
from promptseg.download import http as fetching
from promptseg.download.http import drive, fetch
from promptseg.download.partial import held

BODY = bytes(range(256)) * 5000
OTHER = BODY[::-1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        if self.path == "/planned":  # a response for each request, the last one repeated
            self.server.ranges.append((self.headers.get("Range"), self.headers.get("If-Range")))
            return self.server.plan[min(len(self.server.ranges), len(self.server.plan)) - 1](self)
        status = {"/gone": 404, "/busy": 503, "/moved": 302}.get(self.path, 200)
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "/data/%20good.tif")
        if self.path in ("/page", "/moved"):
            self.send_header("Content-Type", "text/html; charset=utf-8")
        body = BODY if status == 200 else b""
        if self.path == "/squeezed" and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(BODY)
            self.send_header("Content-Encoding", "gzip")
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, *_):
        pass


def file(body=BODY, etag=None, modified=None, ranges=True, honest=True, cut=None, status=200, kind=None, length=True):
    """Make a handler that sends a file. ranges: whether it honors Range; honest: and If-Range; cut: bytes sent."""

    def respond(handler):
        start, requested, validator = 0, handler.headers.get("Range"), handler.headers.get("If-Range")
        code = status
        if status == 200 and requested and ranges and (not honest or validator in (None, etag or modified)):
            start, code = int(requested.removeprefix("bytes=").rstrip("-")), 206
        handler.send_response(code)
        if code == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for key, value in (("ETag", etag), ("Last-Modified", modified), ("Content-Type", kind)):
            if value:
                handler.send_header(key, value)
        if length:
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start : None if cut is None else start + cut])

    return respond


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of the test's own, and no pause before the next try."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(folder))
    monkeypatch.setattr(fetching, "WAIT", 0)
    return folder


def partial_sizes(cache) -> list[int]:
    """Sizes of the partial files."""
    return [path.stat().st_size for path in cache.glob("*.part")]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("PROMPTSEG_MIRROR", raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.url = [], f"http://127.0.0.1:{server.server_port}"
    server.plan, server.ranges, server.planned = [], [], server.url + "/planned"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


def refused(url, tmp_path, **checks) -> str:
    with pytest.raises(UserError) as caught:
        fetch(url, tmp_path / "out.tif", **checks)
    message = str(caught.value)
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []
    return message


@pytest.mark.parametrize("path", ["/data/%20good.tif", "/moved", "/unannounced", "/squeezed"])
def test_good_file(server, tmp_path, path, capfd):
    fetch(server.url + path, tmp_path / "new" / "out.tif")
    assert (tmp_path / "new" / "out.tif").read_bytes() == BODY
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.tif"]
    assert server.requests[-1][0] == (path if path != "/moved" else "/data/%20good.tif")
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


@pytest.mark.parametrize(
    "path, reason",
    [
        ("/gone", "the server responds 404 Not Found"),
        ("/busy", "the server responds 503 Service Unavailable"),
        ("/page", "a web page came instead of the file"),
    ],
)
def test_server_refuses(server, tmp_path, path, reason):
    message = refused(server.url + path, tmp_path)
    assert message.startswith(f"{server.url}{path}: {reason}; ")
    assert "by hand" in message and "datasets.<name>.raw" in message


@pytest.mark.parametrize("checked_by_urllib3", [True, False])
def test_truncated(server, tmp_path, monkeypatch, checked_by_urllib3):
    make = urllib3.HTTPResponse.__init__
    if not checked_by_urllib3:  # as before its version 2
        monkeypatch.setattr(
            urllib3.HTTPResponse, "__init__", lambda *a, **k: make(*a, **{**k, "enforce_content_length": False})
        )
    message = refused(server.url + "/cut", tmp_path)
    assert message.startswith(f"{server.url}/cut: truncated: ")
    assert checked_by_urllib3 or "640,000 of 1,280,000 bytes came" in message


def test_failure_leaves_the_old_file(server, tmp_path):
    (tmp_path / "out.tif").write_bytes(b"old")
    with pytest.raises(UserError, match="truncated"):
        fetch(server.url + "/cut", tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == b"old"


def test_no_server(server, tmp_path):
    server.shutdown()
    server.server_close()
    assert refused(server.url + "/x", tmp_path).startswith(f"{server.url}/x: no connection; ")


def test_stalled_server(server, tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr("promptseg.download.http.TIMEOUT", 0.3)
    monkeypatch.setattr(Handler, "do_GET", lambda self: release.wait(10))
    try:
        assert "no response within 0.3 seconds" in refused(server.url + "/x", tmp_path)
    finally:
        release.set()


def test_mirror_replaces_scheme_and_host(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", server.url)
    fetch("https://data.example/a/%20b/c.tif?version=1", tmp_path / "out.tif")
    assert server.requests == [("/a/%20b/c.tif?version=1", None)]


def test_password_of_a_mirror_is_used_and_not_shown(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", server.url.replace("//", "//me:secret@"))
    message = refused("https://data.example/gone", tmp_path)
    assert server.requests[0][1].startswith("Basic ")
    assert "secret" not in message and message.startswith(f"{server.url}/gone: ")


@pytest.mark.parametrize("mirror", ["127.0.0.1:8000", "ftp://host", "file:///etc"])
def test_no_address_as_mirror(tmp_path, monkeypatch, mirror):
    monkeypatch.setenv("PROMPTSEG_MIRROR", mirror)
    assert refused("https://data.example/x", tmp_path).startswith("PROMPTSEG_MIRROR: ")


@pytest.mark.parametrize("version", [{"etag": '"one"'}, {"modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
def test_a_cut_connection_is_resumed(server, tmp_path, cache, version):
    server.plan = [file(cut=400_000, **version), file(cut=500_000, **version), file(**version)]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY
    starts = [int((requested or "bytes=0-")[6:-1]) for requested, _ in server.ranges]
    assert starts == sorted(starts) and 330_000 < starts[1] <= 400_000 and 800_000 < starts[2] <= 900_000
    assert {validator for _, validator in server.ranges[1:]} == set(version.values())
    assert [path.suffix for path in cache.iterdir()] in ([], [".lock"]), "a complete download leaves nothing behind"


def test_a_later_try_resumes(server, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=500_000, etag='"one"'), file(etag='"one"')]
    message = refused(server.planned, tmp_path)
    assert f"{partial_sizes(cache)[0]:,} of 1,280,000 bytes came" in message
    requested = f"bytes={partial_sizes(cache)[0]}-"
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1:] == [(requested, '"one"')]


def test_another_process_resumes_after_a_kill(server, tmp_path, cache):
    stop = threading.Event()

    def stall(handler):
        file(etag='"one"', cut=900_000)(handler)
        handler.wfile.flush()
        stop.wait(20)

    server.plan = [stall, file(etag='"one"')]
    code = f"from promptseg.download.http import fetch; fetch({server.planned!r}, {str(tmp_path / 'out.tif')!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            if sum(partial_sizes(cache)) > 800_000:
                break
            stop.wait(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
    assert not list(tmp_path.iterdir())
    received = partial_sizes(cache)[0]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1] == (f"bytes={received}-", '"one"')


def test_a_server_that_ignores_ranges_starts_again(server, tmp_path):
    server.plan = [file(cut=500_000, etag='"one"', ranges=False), file(etag='"one"', ranges=False)]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1][0]


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize(
    "before, after",
    [
        ({"etag": '"one"'}, {"etag": '"two"'}),
        ({"etag": 'W/"one"'}, {"etag": 'W/"two"'}),
        ({"modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, {"modified": "Tue, 02 Jan 2024 00:00:00 GMT"}),
        ({"etag": '"one"'}, {"etag": '"one"', "body": OTHER + b"longer"}),
    ],
)
def test_two_versions_are_never_joined(server, tmp_path, before, after, honest):
    after = {"body": OTHER, **after}
    server.plan = [file(cut=500_000, **before), file(honest=honest, **after)]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == after["body"]


def test_without_a_version_only_a_checksum_allows_to_resume(server, tmp_path):
    server.plan = [file(cut=500_000), file()]
    fetch(server.planned, tmp_path / "out.tif")
    assert server.ranges == [(None, None)] * 2
    server.ranges.clear()
    fetch(server.planned, tmp_path / "out.tif", sha256=hashlib.sha256(BODY).hexdigest())
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[0][0] is None and server.ranges[1][0]


def test_a_refused_range_starts_again(server, tmp_path):
    server.plan = [file(cut=500_000, etag='"one"'), file(b"", status=416), file(etag='"one"')]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[2] == (None, None)


def test_tries_without_progress_end(server, tmp_path):
    server.plan = [file(b"", status=503)]
    assert "503 Service Unavailable" in refused(server.planned, tmp_path)
    assert len(server.ranges) == fetching.TRIES
    server.ranges.clear()
    server.plan = [file(b"", status=429), file(b"", status=502), file()]
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY


def test_tries_with_progress_are_not_counted(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "STEP", 50_000)
    server.plan = [file(etag='"one"', cut=200_000)] * 9
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and len(server.ranges) > fetching.TRIES


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_checksum(server, tmp_path, cache, kind, capfd):
    good = hashlib.new(kind, BODY).hexdigest()
    server.plan = [file(etag='"one"')]
    fetch(server.planned, tmp_path / "out.tif", **{kind: good.upper()}, size=7)
    (tmp_path / "out.tif").unlink()
    assert capfd.readouterr().err == "", "the checksum shows that the expected size is wrong"
    wrong = "0" * len(good)
    message = refused(server.planned, tmp_path, **{kind: wrong})
    assert f"{kind} {good} where {wrong} is expected" in message and partial_sizes(cache) == []


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_checksum_that_differs_in_its_last_digit_is_refused(server, tmp_path, cache, kind):
    good = hashlib.new(kind, BODY).hexdigest()
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    server.plan = [file(etag='"one"')]
    message = refused(server.planned, tmp_path, **{kind: wrong})
    assert f"{kind} {good} where {wrong} is expected" in message and partial_sizes(cache) == []


def test_another_size_is_noted(server, tmp_path, capfd):
    server.plan = [file()]
    fetch(server.planned, tmp_path / "out.tif", size=len(BODY))
    assert capfd.readouterr().err == ""
    fetch(server.planned, tmp_path / "out.tif", size=1_300_000)
    assert capfd.readouterr().err == "note: out.tif has 1,280,000 bytes where 1,300,000 are expected\n"


@pytest.mark.parametrize("status", [401, 403])
def test_login_refused(server, tmp_path, status):
    server.plan = [file(b"no", status=status)]
    assert f"the server responds {status} " in (message := refused(server.planned, tmp_path))
    assert "login refused" in message and len(server.ranges) == 1


@pytest.mark.parametrize("kind", [None, "text/html", "application/octet-stream"])
def test_a_page_in_place_of_the_file(server, tmp_path, cache, kind):
    server.plan = [file(b"\n <!DOCTYPE HTML><html><body>Log in</body></html>", kind=kind)]
    assert "a web page came instead of the file" in refused(server.planned, tmp_path) and partial_sizes(cache) == []


@pytest.mark.parametrize("status", [200, 403])
def test_the_quota_page_of_google_drive(server, tmp_path, status):
    page = b"<html><title>Google Drive - Quota exceeded</title>Sorry" + b" " * 5000
    server.plan = [file(page, kind="text/html; charset=utf-8", status=status)]
    assert "download quota of this file" in refused(server.planned, tmp_path)


def test_redirects_in_a_circle(server, tmp_path):
    def again(handler):
        handler.send_response(302)
        handler.send_header("Location", "/planned")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.plan = [again]
    assert "redirects in circles" in refused(server.planned, tmp_path)


def test_a_redirect_from_https_to_http_is_refused(tmp_path, monkeypatch):
    def get(address, **_):
        response = requests.Response()
        response.status_code, response.url, response.raw = 200, "http://elsewhere.example/x", urllib3.HTTPResponse(b"x")
        first = requests.Response()
        first.url = address
        response.history = [first]
        return response

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.delenv("PROMPTSEG_MIRROR", raising=False)
    assert "redirects from https" in refused("https://data.example/x", tmp_path)


@pytest.mark.parametrize("size", [None, 300_000])
def test_a_stream_without_an_end(server, tmp_path, cache, monkeypatch, size):
    monkeypatch.setattr(fetching, "UNDECLARED", 1_000_000)

    def endless(handler):
        file(b"", length=False)(handler)
        try:
            for _ in itertools.count():
                handler.wfile.write(BODY)
        except OSError:
            pass

    server.plan = [endless]
    limit = 600_000 if size else 1_000_000
    assert f"more than the expected {limit:,} bytes" in refused(server.planned, tmp_path, size=size)
    assert partial_sizes(cache) == []


def test_compressed_content_is_not_decompressed(server, tmp_path):
    packed = gzip.compress(BODY)

    def respond(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    server.plan = [respond]
    fetch(server.planned, tmp_path / "out.tar.gz")
    assert (tmp_path / "out.tar.gz").read_bytes() == packed


@pytest.mark.parametrize("apart", [False, True])
def test_a_full_disk_is_noticed_before(server, tmp_path, cache, monkeypatch, apart):
    """apart: the cache has space, and the file's own folder is on another disk."""
    usage = namedtuple("usage", "total used free")
    roomy = cache if apart else None
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10**9 if path == roomy else 1_279_999))
    if apart:
        device = {cache: 1, tmp_path: 2}
        Stat = namedtuple("Stat", "st_dev st_size st_mode")
        real = Path.stat

        def elsewhere(self, **options):
            found = real(self, **options)
            return Stat(device[self], found.st_size, found.st_mode) if self in device else found

        monkeypatch.setattr(Path, "stat", elsewhere)
    server.plan = [file(etag='"one"')]
    message = refused(server.planned, tmp_path)
    place = tmp_path if apart else cache
    assert f"disk full: 1,280,000 more bytes are needed and {place} has 1,279,999 free" in message
    assert "PROMPTSEG_CACHE" in message and sum(partial_sizes(cache)) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up(server, tmp_path, cache, monkeypatch, number):
    def small(path, mode="r", *more):
        stream = builtins.open(path, mode, *more)
        if mode == "ab":
            write = stream.write

            class Full:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    stream.close()

                def write(self, data):
                    if stream.tell() > 300_000:
                        raise OSError(number, os.strerror(number))
                    return write(data)

            return Full()
        return stream

    server.plan = [file(etag='"one"')]
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "open", small, raising=False)
        message = refused(server.planned, tmp_path)
    assert "disk full" in message and os.strerror(number) in message and str(cache) in message
    assert 300_000 < partial_sizes(cache)[0] < 400_000
    fetch(server.planned, tmp_path / "out.tif")  # after freeing space
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1][0].startswith("bytes=3")


def test_a_real_limit_on_files(server, tmp_path, cache):
    server.plan = [file(etag='"one"')]
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "from promptseg.download.http import fetch; from promptseg.core.errors import UserError\n"
        f"try: fetch({server.planned!r}, {str(tmp_path / 'out.tif')!r})\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "disk full" in done.stdout and done.stdout.count("\n") == 1 and not list(tmp_path.iterdir())
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1][0]


def test_two_downloads_of_one_address_take_turns(server, tmp_path, cache, capfd):
    server.plan = [file(etag='"one"')]
    with held(server.planned):
        threads = [
            threading.Thread(target=fetch, args=(server.planned, tmp_path / name), daemon=True) for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
            thread.join(0.3)
            assert thread.is_alive() and server.ranges == []
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == BODY
    assert "another process is downloading this file" in capfd.readouterr().err


def test_a_complete_file_that_could_not_be_moved_is_not_requested_again(server, tmp_path, monkeypatch):
    server.plan = [file(etag='"one"')]
    with monkeypatch.context() as patch:

        def move(source, target):
            raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

        patch.setattr(shutil, "move", move)
        message = refused(server.planned, tmp_path)
        assert "disk full" in message and ".out.tif" in message
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and len(server.ranges) == 1


@pytest.mark.parametrize("note", [b"", b"[1]", b'{"etag": ', b"\xff"])
def test_a_damaged_version_starts_again(server, tmp_path, cache, monkeypatch, note):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=500_000, etag='"one"'), file(etag='"one"')]
    refused(server.planned, tmp_path)
    next(cache.glob("*.json")).write_bytes(note)
    fetch(server.planned, tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == BODY and server.ranges[1] == (None, None)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, tmp_path_factory):
    taken = tmp_path_factory.mktemp("taken") / "file"
    taken.write_bytes(b"")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(taken / "below"))
    assert "set PROMPTSEG_CACHE" in refused("http://127.0.0.1:9/x", tmp_path)


def test_the_cache_stores_no_address(server, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 1)
    server.plan = [file(cut=500_000, etag='"one"')]
    refused(server.planned.replace("//", "//me:secret@"), tmp_path)
    assert partial_sizes(cache)
    for path in cache.iterdir():
        assert "secret" not in path.name and b"secret" not in path.read_bytes()


def test_google_drive():
    assert drive("1xB9") == "https://drive.usercontent.google.com/download?id=1xB9&export=download&confirm=t"
