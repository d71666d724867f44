"""Downloads from a local server: complete or refused; never half a file, always one line."""

import builtins
import errno
import gzip
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
import requests
import urllib3
from file_server import BODY, Handler, cache, file, out, received, refused, server
from promptseg.core.errors import UserError
from promptseg.download import http as fetching
from promptseg.download.http import drive, fetch

__all__ = ["cache", "out", "server"]
PACKED = gzip.compress(BODY, mtime=0)  # the same bytes in all processes of a test run
PAGE = b"\n <!DOCTYPE HTML><html><body>Log in</body></html>"
QUOTA = b"<html><title>Google Drive - Quota exceeded</title>Sorry" + b" " * 5000
HTML = "text/html; charset=utf-8"
MOVED = file(b"", status=302, Location="/planned", Content_Type=HTML)


@pytest.mark.parametrize(
    "plan, body",
    [
        ([file()], BODY),
        ([MOVED, file()], BODY),
        ([file(length=False)], BODY),
        ([file(PACKED, Content_Encoding="gzip")], PACKED),  # not decompressed
        ([file(b"", status=429), file(b"", status=502), file()], BODY),
    ],
    ids=["at once", "moved", "without length", "packed", "after errors"],
)
def test_a_good_file_arrives_as_it_was_sent(server, tmp_path, plan, body, capfd):
    server.plan = plan
    fetch(server.url, tmp_path / "new" / "out.tif")
    assert (tmp_path / "new" / "out.tif").read_bytes() == body
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.tif"]
    assert server.requests[0] == ("/data/%20good.tif", None, "identity") and len(server.requests) == len(plan)
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


@pytest.mark.parametrize(
    "response, words, tries",
    [
        (file(b"", status=404), "the server responds 404 Not Found", 1),
        (file(b"", status=503), "the server responds 503 Service Unavailable", fetching.TRIES),
        (file(b"no", status=401), "the server responds 401 Unauthorized: login refused", 1),
        (file(b"no", status=403), "the server responds 403 Forbidden: login refused", 1),
        (file(Content_Type=HTML), "a web page came instead of the file", 1),
        *[(file(PAGE, Content_Type=kind), "a web page came", 1) for kind in (None, HTML, "application/octet-stream")],
        *[(file(QUOTA, status=code, Content_Type=HTML), "download quota of this file", 1) for code in (200, 403)],
        (MOVED, "redirects in circles", 31),
    ],
)
def test_a_refusal_of_the_server_is_told_with_what_to_do(server, out, cache, response, words, tries):
    server.plan = [response]
    refused(server.url, out, f"{server.url}: ", words, "by hand", "datasets.<name>.raw")
    assert len(server.requests) == tries and received(cache) == 0


@pytest.mark.parametrize("checked_by_urllib3", [True, False])
def test_a_truncated_file_is_refused_and_the_old_one_stays(server, tmp_path, monkeypatch, checked_by_urllib3):
    make, out = urllib3.HTTPResponse.__init__, tmp_path / "below" / "out.tif"
    out.parent.mkdir()
    if not checked_by_urllib3:  # as before its version 2
        monkeypatch.setattr(
            urllib3.HTTPResponse, "__init__", lambda *a, **k: make(*a, **{**k, "enforce_content_length": False})
        )
    server.plan = [file(cut=128_000)]
    refused(server.url, out, "truncated: ", "" if checked_by_urllib3 else "128,000 of 256,000 bytes came")
    out.write_bytes(b"old")
    with pytest.raises(UserError, match="truncated"):
        fetch(server.url, out)
    assert out.read_bytes() == b"old"


def test_no_server_and_a_stalled_one(server, out, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(fetching, "TIMEOUT", 0.1)
    monkeypatch.setattr(Handler, "do_GET", lambda self: release.wait(10))
    refused(server.url, out, "no response within 0.1 seconds")
    release.set()
    server.shutdown()
    server.server_close()
    refused(server.url, out, "no connection; ")


def test_a_mirror_replaces_scheme_and_host_and_its_password_is_not_shown(server, out, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", server.host.replace("//", "//me:secret@"))
    fetch("https://data.example/a/%20b/c.tif?version=1", out)
    ((path, login, _),) = server.requests
    assert path == "/a/%20b/c.tif?version=1" and login.startswith("Basic ")
    server.plan = [file(b"", status=404)]
    with pytest.raises(UserError) as caught:
        fetch("https://data.example/gone", out)
    assert "secret" not in str(caught.value) and str(caught.value).startswith(f"{server.host}/gone: ")


@pytest.mark.parametrize("mirror", ["127.0.0.1:8000", "ftp://host", "file:///etc"])
def test_no_address_as_mirror(out, monkeypatch, mirror):
    monkeypatch.setenv("PROMPTSEG_MIRROR", mirror)
    with pytest.raises(UserError, match="^PROMPTSEG_MIRROR: "):
        fetch("https://data.example/x", out)


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_checksum_is_compared_to_its_last_digit(server, out, cache, kind, capfd):
    good = hashlib.new(kind, BODY).hexdigest()
    fetch(server.url, out, **{kind: good.upper()}, size=7)
    out.unlink()
    assert capfd.readouterr().err == "", "the checksum shows that the expected size is wrong"
    for wrong in ("0" * len(good), good[:-1] + ("0" if good[-1] != "0" else "1")):
        refused(server.url, out, f"{kind} {good} where {wrong} is expected", **{kind: wrong})
        assert received(cache) == 0


def test_another_size_is_noted(server, out, capfd):
    fetch(server.url, out, size=len(BODY))
    assert capfd.readouterr().err == ""
    fetch(server.url, out, size=300_000)
    assert capfd.readouterr().err == "note: out.tif has 256,000 bytes where 300,000 are expected\n"


def test_a_redirect_from_https_to_http_is_refused(cache, out, monkeypatch):
    def get(address, **_):
        first, response = requests.Response(), requests.Response()
        response.status_code, response.url, response.raw = 200, "http://elsewhere.example/x", urllib3.HTTPResponse(b"x")
        first.url, response.history = address, [first]
        return response

    monkeypatch.setattr(requests, "get", get)
    refused("https://data.example/x", out, "redirects from https")


@pytest.mark.parametrize("size, limit", [(None, "400,000"), (300_000, "600,000")])
def test_a_stream_without_an_end(server, out, cache, monkeypatch, size, limit):
    monkeypatch.setattr(fetching, "UNDECLARED", 400_000)

    def endless(handler):
        file(b"", length=False)(handler)
        try:
            for _ in itertools.count():
                handler.wfile.write(BODY)
        except OSError:
            pass

    server.plan = [endless]
    refused(server.url, out, f"more than the expected {limit} bytes", size=size)
    assert received(cache) == 0


@pytest.mark.parametrize("apart", [False, True])
def test_a_full_disk_is_noticed_before(server, out, cache, monkeypatch, apart):
    """apart: the cache has space, and the file's own folder is on another disk."""
    usage, roomy = namedtuple("usage", "total used free"), cache if apart else None
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10**9 if path == roomy else 255_999))
    if apart:
        device, real = {cache: 1, out.parent: 2}, Path.stat
        fake = namedtuple("Stat", "st_dev st_size st_mode")

        def elsewhere(self, **options):
            found = real(self, **options)
            return fake(device[self], found.st_size, found.st_mode) if self in device else found

        monkeypatch.setattr(Path, "stat", elsewhere)
    place = out.parent if apart else cache
    words = f"disk full: 256,000 more bytes are needed and {place} has 255,999 free", "PROMPTSEG_CACHE"
    refused(server.url, out, *words)
    assert received(cache) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up(server, out, cache, monkeypatch, number):
    class Full:
        def __init__(self, path, mode):
            self.stream = builtins.open(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def write(self, data):
            if self.stream.tell() > 100_000:
                raise OSError(number, os.strerror(number))
            self.stream.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "open", Full, raising=False)
        refused(server.url, out, "disk full", os.strerror(number), str(cache))
    before = received(cache)
    assert 100_000 < before < 120_000
    fetch(server.url, out)  # after freeing space
    assert out.read_bytes() == BODY and server.ranges[1] == (f"bytes={before}-", '"one"')


def test_a_real_limit_on_files(server, out):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from promptseg.download.http import fetch; from promptseg.core.errors import UserError\n"
        f"try: fetch({server.url!r}, {str(out)!r})\n"
        "except UserError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "disk full" in done.stdout and done.stdout.count("\n") == 1 and not out.exists()
    fetch(server.url, out)
    assert out.read_bytes() == BODY and server.ranges[1][0]


def test_a_complete_file_that_could_not_be_moved_is_not_requested_again(server, out, monkeypatch):
    def move(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", move)
        refused(server.url, out, "disk full", f"writing {out} failed")
    fetch(server.url, out)
    assert out.read_bytes() == BODY and len(server.ranges) == 1


def test_google_drive():
    assert drive("1xB9") == "https://drive.usercontent.google.com/download?id=1xB9&export=download&confirm=t"
