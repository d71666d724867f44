"""A server of files on this machine, which cuts, refuses or changes them as a test plans."""

import http.server
import threading
from pathlib import Path

import pytest
from promptseg.core.errors import UserError
from promptseg.download import http as fetching

BODY = bytes(range(256)) * 1000
CHECKED = {"etag": '"one"'}


class Handler(http.server.BaseHTTPRequestHandler):
    """A planned response for each request, the last one repeated."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Authorization"), self.headers.get("Accept-Encoding")))
        server.ranges.append((self.headers.get("Range"), self.headers.get("If-Range")))
        server.plan[min(len(server.ranges), len(server.plan)) - 1](self)

    def log_message(self, *_):
        pass


def file(body=BODY, etag=None, modified=None, ranges=True, honest=True, cut=None, status=200, length=True, **headers):
    """Make a response with a file. ranges: whether it honors Range; honest: and If-Range; cut: bytes sent."""

    def respond(handler):
        start, requested, validator = 0, handler.headers.get("Range"), handler.headers.get("If-Range")
        code, part = status, None
        if status == 200 and requested and ranges and (not honest or validator in (None, etag or modified)):
            start, code = int(requested.removeprefix("bytes=").rstrip("-")), 206
            part = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.send_response(code)
        size = str(len(body) - start) if length else None
        more = {"ETag": etag, "Last-Modified": modified, "Content-Length": size, "Content-Range": part}
        for key, value in {**headers, **more}.items():
            if value:
                handler.send_header(key.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body[start : None if cut is None else start + cut])

    return respond


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """A cache of the test's own, and no pause before the next try."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PROMPTSEG_CACHE", str(folder))
    monkeypatch.delenv("PROMPTSEG_MIRROR", raising=False)
    monkeypatch.setattr(fetching, "WAIT", 0)
    monkeypatch.setattr(fetching, "CHUNK", 1 << 13)
    return folder


@pytest.fixture
def server(cache, monkeypatch):
    for key in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(key, "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.ranges, server.plan = [], [], [file(**CHECKED)]
    server.host = f"http://127.0.0.1:{server.server_port}"
    server.url = server.host + "/data/%20good.tif"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.tif"


def received(cache) -> int:
    """Bytes in the partial files."""
    return sum(path.stat().st_size for path in cache.glob("*.part"))


def refused(url, out, *words, **checks) -> None:
    """One line that starts with the address and holds these words; no file is left, whole or in part."""
    with pytest.raises(UserError) as caught:
        fetching.fetch(url, out, **checks)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in (f"{url}: ", *words)), message
    assert list(out.parent.iterdir()) == []
