"""Downloads from a server on this machine: good, refused, cut short; never half a file, always one line."""

import gzip
import http.server
import threading

import pytest
import urllib3

from promptseg.errors import Problem
from promptseg.fetch import fetch

BODY = bytes(range(256)) * 5000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answer = {"/gone": 404, "/busy": 503, "/moved": 302}.get(self.path, 200)
        self.send_response(answer)
        if self.path == "/moved":
            self.send_header("Location", "/data/%20good.tif")
        if self.path in ("/page", "/moved"):
            self.send_header("Content-Type", "text/html; charset=utf-8")
        body = BODY if answer == 200 else b""
        if self.path == "/squeezed" and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(BODY)
            self.send_header("Content-Encoding", "gzip")
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("PROMPTSEG_MIRROR", raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


def refused(url, tmp_path) -> str:
    with pytest.raises(Problem) as caught:
        fetch(url, tmp_path / "out.tif")
    message = str(caught.value)
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []
    return message


@pytest.mark.parametrize("path", ["/data/%20good.tif", "/moved", "/unannounced", "/squeezed"])
def test_good_file(server, tmp_path, path, capfd):
    fetch(server.url + path, tmp_path / "new" / "out.tif")
    assert (tmp_path / "new" / "out.tif").read_bytes() == BODY
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["out.tif"]
    assert server.asked[-1][0] == (path if path != "/moved" else "/data/%20good.tif")
    assert capfd.readouterr() == ("", "")  # quiet when not on a terminal


@pytest.mark.parametrize(
    "path, reason",
    [
        ("/gone", "the server answers 404 Not Found"),
        ("/busy", "the server answers 503 Service Unavailable"),
        ("/page", "a web page came in place of the file"),
    ],
)
def test_server_refuses(server, tmp_path, path, reason):
    message = refused(server.url + path, tmp_path)
    assert message.startswith(f"{server.url}{path}: {reason}; ")
    assert "by hand" in message and "datasets.<name>.source" in message


@pytest.mark.parametrize("checked_by_urllib3", [True, False])
def test_cut_short(server, tmp_path, monkeypatch, checked_by_urllib3):
    make = urllib3.HTTPResponse.__init__
    if not checked_by_urllib3:  # as before its version 2
        monkeypatch.setattr(
            urllib3.HTTPResponse, "__init__", lambda *a, **k: make(*a, **{**k, "enforce_content_length": False})
        )
    message = refused(server.url + "/cut", tmp_path)
    assert message.startswith(f"{server.url}/cut: cut short: ")
    assert checked_by_urllib3 or "640,000 of 1,280,000 bytes came" in message


def test_failure_leaves_the_old_file(server, tmp_path):
    (tmp_path / "out.tif").write_bytes(b"old")
    with pytest.raises(Problem):
        fetch(server.url + "/cut", tmp_path / "out.tif")
    assert (tmp_path / "out.tif").read_bytes() == b"old"


def test_nobody_listens(server, tmp_path):
    server.shutdown()
    server.server_close()
    assert refused(server.url + "/x", tmp_path).startswith(f"{server.url}/x: no connection; ")


def test_stalled_server(server, tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr("promptseg.fetch.TIMEOUT", 0.3)
    monkeypatch.setattr(Handler, "do_GET", lambda self: release.wait(10))
    try:
        assert "no answer within 0.3 seconds" in refused(server.url + "/x", tmp_path)
    finally:
        release.set()


def test_mirror_replaces_scheme_and_host(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", server.url)
    fetch("https://data.example/a/%20b/c.tif?version=1", tmp_path / "out.tif")
    assert server.asked == [("/a/%20b/c.tif?version=1", None)]


def test_password_of_a_mirror_is_used_and_not_shown(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTSEG_MIRROR", server.url.replace("//", "//me:secret@"))
    message = refused("https://data.example/gone", tmp_path)
    assert server.asked[0][1].startswith("Basic ")
    assert "secret" not in message and message.startswith(f"{server.url}/gone: ")


@pytest.mark.parametrize("mirror", ["127.0.0.1:8000", "ftp://host", "file:///etc"])
def test_no_address_as_mirror(tmp_path, monkeypatch, mirror):
    monkeypatch.setenv("PROMPTSEG_MIRROR", mirror)
    assert refused("https://data.example/x", tmp_path).startswith("PROMPTSEG_MIRROR: ")
