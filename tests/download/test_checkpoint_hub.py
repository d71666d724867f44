"""Released checkpoints from a hub on this machine, and from one that does not give."""

import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time

import huggingface_hub
import pytest
import torch
from damage import flipped
from huggingface_hub import constants
from imports import STAGES
from promptseg.core import params
from promptseg.download import checkpoints
from promptseg.models.sam import Sam
from promptseg.nn import weights
from refusing import refused
from transformers import SamConfig, SamModel

REPOSITORY, REVISION = "someone/sam-tiny", "0123456789abcdef" * 2 + "01234567"
OFFICIAL = params.Model(official=REPOSITORY, revision=REVISION)
INFO = f"/api/models/{REPOSITORY}/revision"
FAILED = f"{REPOSITORY}: cannot be downloaded from the hub ("
REFUSALS = {
    "none": (404, "RepoNotFound"),
    "locked": (403, "GatedRepo"),
    "closed": (401, ""),
    "gated": (401, "GatedRepo"),
}


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as its client asks for, of all versions; `server.how` is what is wrong with it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        how, path = self.server.how, self.path.partition("?")[0]
        self.server.asked.append(path)
        if how == "silent":
            time.sleep(1)
            self.close_connection = True
            return
        files = {file.name: file.read_bytes() for file in self.server.folder.iterdir()}
        siblings = [{"rfilename": name} for name in files]
        tree = [{"type": "file", "path": name, "size": len(data), "oid": name} for name, data in files.items()]
        found = {
            "/": b"hub",
            **dict.fromkeys(
                (f"{INFO}/{REVISION}", f"{INFO}/main"), {"id": REPOSITORY, "sha": REVISION, "siblings": siblings}
            ),
            f"/api/models/{REPOSITORY}/tree/{REVISION}": tree,
            **{f"/{REPOSITORY}/resolve/{REVISION}/{name}": data for name, data in files.items()},
        }.get(path)
        if how == "page":
            found = b"<!DOCTYPE html>\n<html></html>\n"
        # The hub tells everybody what a gated repository has.
        open_to_all = ("/", f"{INFO}/{REVISION}", f"{INFO}/main") if how == "gated" else ("/",)
        code, error = REFUSALS[how] if how in REFUSALS and path not in open_to_all else (200, "")
        if found is None or how == "without weights" and path.endswith(".safetensors"):
            code, error = 404, "EntryNotFound"
        body = b"" if code != 200 else found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(code)
        name = os.path.basename(path)
        if how == "damaged" and name.endswith(".safetensors") and body:  # the hub names large files by their sha256
            name, body = hashlib.sha256(body).hexdigest(), flipped(body, len(body) // 2)
        for key, value in {"X-Error-Code": error, "ETag": f'"{name}"', "X-Repo-Commit": REVISION}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A tiny model as the hub has it."""
    folder = tmp_path_factory.mktemp("released")
    torch.manual_seed(5)
    SamModel(SamConfig(**Sam.TINY)).save_pretrained(folder)
    (folder / "README.md").write_text("about")
    return folder


@pytest.fixture
def hub(original, tmp_path, monkeypatch):
    """A hub on this machine, and its client as it is outside of tests, with a cache of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.asked, server.how, server.folder = [], "well", original
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    for key, value in {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PROMPTSEG_MIRROR": server.url + "/"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checkpoints, "TIMEOUT", 0.3)
    huggingface_hub.close_session()
    yield server
    huggingface_hub.close_session()
    server.shutdown()
    server.server_close()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data" / "sam"


def obtain(folder, settings=OFFICIAL):
    checkpoints.obtain("sam", settings, params.Scale(checkpoints="official"), 0, folder)
    return weights.digest(folder)


def test_the_stage_fetches_from_a_hub(hub, original, out, tmp_path):
    (tmp_path / "params.yaml").write_text(
        f"scale: {{checkpoints: official}}\nmodels: {{sam: {{official: {REPOSITORY}, revision: {REVISION}}}}}\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")}
    environment |= {"PYTHONPATH": str(STAGES), "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, str(STAGES / "checkpoint.py"), "sam", "data/sam"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(out.parent) == ["sam"]
    assert weights.digest(out) == obtain(tmp_path / "expected", params.Model(source=str(original)))


@pytest.mark.parametrize(
    "how, word",
    [("page", "JSONDecode"), ("none", "404"), ("locked", "403"), ("without weights", "404"), ("silent", "Timeout")],
)
def test_a_hub_that_does_not_give_is_one_line(how, word, hub, out):
    hub.how, start = how, time.monotonic()
    refused(lambda: obtain(out), FAILED, word, "models.<name>.source")
    assert not out.parent.exists() and time.monotonic() - start < 10


def test_a_byte_that_changed_on_the_way_is_refused_and_the_blob_is_named(hub, out, tmp_path):
    hub.how = "damaged"
    refused(lambda: obtain(out), "model.safetensors: damaged", f"delete {tmp_path / 'cache'}")
    assert not out.exists()
    blobs = list((tmp_path / "cache").glob("*/blobs/*"))
    for blob in blobs:
        blob.unlink()
    hub.how = "well"
    assert blobs and obtain(out)


@pytest.mark.parametrize("how, word", [("gated", "401"), ("locked", "403"), ("closed", "401"), ("none", "404")])
def test_a_refusal_says_where_to_ask(how, word, hub, out):
    hub.how = how
    ask = f"; ask for access at https://huggingface.co/{REPOSITORY} and log in with `hf auth login`, or download its"
    refused(lambda: obtain(out), FAILED, word, ask, "models.<name>.source")


def test_without_a_commit_the_newest_weights_are_taken_and_told(hub, out, monkeypatch, capsys):
    monkeypatch.setattr(Sam, "OFFICIAL", (REPOSITORY, None))
    first = obtain(out, params.Model())
    told = f"note: {REPOSITORY}: its newest commit {REVISION} is taken; to keep to it give models.<name>.official and "
    assert capsys.readouterr().err == f"{told}revision in params.yaml\n"
    assert first == obtain(out)


def test_a_hub_out_of_reach_is_told_at_once(hub, out, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PROMPTSEG_MIRROR", f"http://name:secret@127.0.0.1:{port}")
    start = time.monotonic()
    with pytest.raises(Exception) as caught:
        obtain(out)
    assert str(caught.value).startswith(f"{FAILED}ConnectError") and "secret" not in str(caught.value)
    assert time.monotonic() - start < 10


def test_only_what_is_needed_is_fetched_and_once_fetched_needs_no_hub(hub, out):
    first = obtain(out)
    assert not any(path.endswith("README.md") for path in hub.asked)
    hub.how = "silent"
    assert obtain(out) == first


def test_in_offline_mode_the_hub_is_not_asked(hub, out, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    refused(lambda: obtain(out), FAILED, "ffline")
    assert hub.asked == []


def test_logins_and_signatures_in_addresses_are_not_told(hub, out, monkeypatch):
    def snapshot_download(*_, **__):
        raise OSError("Forbidden for url: https://user:pass@cdn.example/x?Signature=abc&Key=1\nsecond line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    refused(lambda: obtain(out), "(OSError: Forbidden for url: https://cdn.example/x)")
