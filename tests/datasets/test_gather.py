"""Parallel download of images from a local server: completeness, resuming, and addresses on other hosts."""

import errno
import http.server
import io
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image
from promptseg.datasets.phrasecut import gather
from promptseg.datasets.phrasecut.gather import Wanted
from refusing import refused

HOST = "images.example"


def jpeg(width: int, height: int, seed: int = 0) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


BODY = jpeg(20, 16)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        requested = self.server.requested
        requested.append(self.path)
        bodies = {"/page": b"<html>casino</html>", "/half": BODY[: len(BODY) // 2], "/other": jpeg(16, 20)}
        status, body = 200, bodies.get(self.path, BODY)
        if self.path.startswith("/moved"):
            status = 302
        elif self.path == "/gone":
            status = 404
        elif self.path == "/busy" or (self.path == "/shaky" and requested.count("/shaky") < 3):
            status = 503
        body = body if status == 200 else b""
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.moved)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(gather, "WAIT", 0.001)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requested, server.moved = [], "/good"
    monkeypatch.setenv("PROMPTSEG_MIRROR", f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


def wanted_from(folder, *urls: str) -> list[Wanted]:
    return [Wanted(url, folder / f"{i}.jpg", (20, 16)) for i, url in enumerate(urls)]


def gather_from(folder, *urls: str) -> None:
    gather.gather(wanted_from(folder, *urls), (HOST,), "get them by hand")


@pytest.mark.parametrize("path", ["/good", "/shaky", "/moved"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_complete_image(server, tmp_path, path, scheme, capfd):
    gather_from(tmp_path / "images", f"{scheme}://{HOST}{path}")
    assert (tmp_path / "images/0.jpg").read_bytes() == BODY
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["0.jpg"]
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


def test_existing_files_are_not_requested_again(server, tmp_path):
    urls = [f"https://{HOST}/{'gone' if i == 3 else i}" for i in range(20)]
    counted = "/gone", "responds with 404", "1 of 20 images could not be downloaded", "try again to resume"
    refused(partial(gather_from, tmp_path, *urls), *counted, "get them by hand")
    assert len(list(tmp_path.iterdir())) == 19
    server.requested.clear()
    refused(partial(gather_from, tmp_path, *urls), "1 of 1 images")
    assert server.requested == ["/gone"]
    gather_from(tmp_path, *urls[:3])
    assert server.requested == ["/gone"]


@pytest.mark.parametrize(
    "path, reason, requests",
    [
        ("/gone", "responds with 404", 1),
        ("/busy", "responds with 503, 3 times", 3),
        ("/page", "not a complete image", 1),
        ("/half", "not a complete image", 1),
        ("/other", "is 16x20, not 20x16", 1),
    ],
)
def test_failed_downloads(server, tmp_path, path, reason, requests):
    refused(partial(gather_from, tmp_path, f"https://{HOST}{path}"), f"https://{HOST}{path}", reason, "1 of 1 images")
    assert len(server.requested) == requests
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://casino.example/good", f"https://{HOST}.casino.example/good", f"https://casino.example/{HOST}",
        f"https://{HOST}@casino.example/good", f"https://me:secret@{HOST}/good", f"https://{HOST}:8443/good",
        "http://127.0.0.1/good", "http://169.254.169.254/latest/meta-data", f"ftp://{HOST}/good", "file:///etc/passwd",
        "", "//", "https://[::1", f"https://{HOST}:port/", "good",
    ],
)  # fmt: skip
def test_addresses_on_other_hosts_are_not_requested(server, tmp_path, url):
    reason = "address is invalid" if url in ("https://[::1", f"https://{HOST}:port/") else f"not on {HOST}"
    refused(partial(gather_from, tmp_path, url), reason)
    assert server.requested == []


@pytest.mark.parametrize(
    "location, words, requests",
    [
        ("https://casino.example/good", f"not on {HOST}", 1),
        ("http://169.254.169.254/", f"not on {HOST}", 1),
        ("file:///etc/passwd", f"not on {HOST}", 1),
        ("/moved", "more than 3 redirects", 4),
    ],
)
def test_redirects_to_other_hosts_or_in_a_circle_are_not_followed(server, tmp_path, location, words, requests):
    server.moved = location
    refused(partial(gather_from, tmp_path, f"https://{HOST}/moved"), words, location if requests == 1 else "")
    assert server.requested == ["/moved"] * requests


@pytest.mark.parametrize(
    "limit, value, words", [("MAX_BYTES", 100, "exceeds 100 bytes"), ("MAX_SECONDS", -1, "took longer than")]
)
def test_limits_on_size_and_time(server, tmp_path, monkeypatch, limit, value, words):
    monkeypatch.setattr(gather, limit, value)
    refused(partial(gather_from, tmp_path, f"https://{HOST}/good"), words)


def test_an_unreachable_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "MAX_FAILURES", 5)
    server.shutdown()
    server.server_close()
    tried, get = [], gather._get
    monkeypatch.setattr(gather, "_get", lambda *args: (tried.append(1), get(*args))[1])
    urls = [f"https://{HOST}/{i}" for i in range(60)]
    refused(partial(gather_from, tmp_path, *urls), "ConnectionError, 3 times", "60 of 60 images")
    assert len(tried) <= 5 + gather.THREADS


def test_http_becomes_https():
    assert gather._check_host(f"http://{HOST}/a.jpg", (HOST,)) == f"https://{HOST}/a.jpg"


def test_a_full_disk_stops_the_download_at_once(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gather.os, "replace", full)
    urls = [f"https://{HOST}/{i}" for i in range(200)]
    words = "0.jpg: cannot be written: No space left on device; free disk space"
    refused(partial(gather_from, tmp_path, *urls), words)
    assert len(server.requested) < 150 and list(tmp_path.iterdir()) == []


def test_an_invalid_mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", "127.0.0.1:8000")
    refused(partial(gather_from, tmp_path, f"https://{HOST}/good"), "PROMPTSEG_MIRROR: ")
