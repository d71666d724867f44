"""Parallel download of images from a local server: completeness, resuming, and addresses on other hosts."""

import errno
import http.server
import io
import threading

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.datasets.phrasecut import gather
from promptseg.datasets.phrasecut.gather import Wanted

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
        status, body, headers = 200, BODY, {}
        if self.path.startswith("/moved"):
            status, body, headers = 302, b"", {"Location": self.server.moved}
        elif self.path == "/gone":
            status, body = 404, b""
        elif self.path == "/busy" or (self.path == "/shaky" and requested.count("/shaky") < 3):
            status, body = 503, b""
        elif self.path == "/page":
            body = b"<html>casino</html>"
        elif self.path == "/half":
            body = BODY[: len(BODY) // 2]
        elif self.path == "/other":
            body = jpeg(16, 20)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
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


def wanted_from(tmp_path, url: str) -> Wanted:
    return Wanted(url, tmp_path / "images" / "7.jpg", (20, 16))


def refused(wanted: list[Wanted], *words: str) -> str:
    with pytest.raises(UserError) as raised:
        gather.gather(wanted, (HOST,), "get them by hand")
    message = str(raised.value)
    assert "\n" not in message and message.endswith("get them by hand")
    for word in words:
        assert word in message, message
    return message


@pytest.mark.parametrize("path", ["/good", "/shaky", "/moved"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_complete_image(server, tmp_path, path, scheme, capfd):
    gather.gather([wanted_from(tmp_path, f"{scheme}://{HOST}{path}")], (HOST,), "")
    assert (tmp_path / "images/7.jpg").read_bytes() == BODY
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["7.jpg"]
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


def test_existing_files_are_not_requested_again(server, tmp_path):
    wanted = [Wanted(f"https://{HOST}/{i}", tmp_path / f"{i}.jpg", (20, 16)) for i in range(20)]
    wanted[3] = Wanted(f"https://{HOST}/gone", tmp_path / "3.jpg", (20, 16))
    refused(wanted, "/gone", "responds with 404", "1 of 20 images could not be downloaded", "try again to resume")
    assert len(list(tmp_path.iterdir())) == 19
    server.requested.clear()
    refused(wanted, "1 of 1 images")
    assert server.requested == ["/gone"]
    wanted.pop(3)
    gather.gather(wanted, (HOST,), "")
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
    refused([wanted_from(tmp_path, f"https://{HOST}{path}")], f"https://{HOST}{path}", reason, "1 of 1 images")
    assert len(server.requested) == requests
    assert list((tmp_path / "images").iterdir()) == []


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
    message = refused([wanted_from(tmp_path, url)])
    assert f"not on {HOST}" in message or "address is invalid" in message
    assert server.requested == []


@pytest.mark.parametrize("location", ["https://casino.example/good", "http://169.254.169.254/", "file:///etc/passwd"])
def test_redirects_to_other_hosts_are_not_followed(server, tmp_path, location):
    server.moved = location
    refused([wanted_from(tmp_path, f"https://{HOST}/moved")], location, f"not on {HOST}")
    assert server.requested == ["/moved"]


def test_circular_redirects(server, tmp_path):
    server.moved = "/moved"
    refused([wanted_from(tmp_path, f"https://{HOST}/moved")], "more than 3 redirects")
    assert len(server.requested) == 4


def test_limits_on_size_and_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "MAX_BYTES", 100)
    refused([wanted_from(tmp_path, f"https://{HOST}/good")], "exceeds 100 bytes")
    monkeypatch.setattr(gather, "MAX_BYTES", 10**6)
    monkeypatch.setattr(gather, "MAX_SECONDS", -1)
    refused([wanted_from(tmp_path, f"https://{HOST}/good")], "took longer than")


def test_an_unreachable_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "MAX_FAILURES", 5)
    server.shutdown()
    server.server_close()
    wanted = [Wanted(f"https://{HOST}/{i}", tmp_path / f"{i}.jpg", (20, 16)) for i in range(300)]
    tried, get = [], gather._get
    monkeypatch.setattr(gather, "_get", lambda *args: (tried.append(1), get(*args))[1])
    refused(wanted, "ConnectionError, 3 times", "300 of 300 images")
    assert len(tried) <= 5 + gather.THREADS


def test_http_becomes_https():
    assert gather._check_host(f"http://{HOST}/a.jpg", (HOST,)) == f"https://{HOST}/a.jpg"


def test_a_full_disk_stops_the_download_at_once(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gather.os, "replace", full)
    wanted = [Wanted(f"https://{HOST}/{i}", tmp_path / f"{i}.jpg", (20, 16)) for i in range(200)]
    with pytest.raises(UserError, match=r"0\.jpg: cannot be written: No space left on device; free disk space"):
        gather.gather(wanted, (HOST,), "")
    assert len(server.requested) < 150 and list(tmp_path.iterdir()) == []


def test_an_invalid_mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", "127.0.0.1:8000")
    with pytest.raises(UserError, match="^PROMPTSEG_MIRROR: "):
        gather.gather([wanted_from(tmp_path, f"https://{HOST}/good")], (HOST,), "")
