"""Released checkpoints: built in, from a folder in the hub's layout, and from a hub on this machine."""

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
from huggingface_hub import constants
from imports import STAGES
from promptseg import models
from promptseg import tiny as tiny_checkpoints
from promptseg.core import params, stage
from promptseg.core.errors import UserError
from promptseg.download import checkpoints
from promptseg.nn import sam_network, weights
from safetensors.torch import load_file, save_file
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, Sam2Config, Sam2Model, SamConfig, SamModel

REPOSITORY, REVISION = "someone/sam-tiny", "0123456789abcdef" * 2 + "01234567"
OFFICIAL = params.Model(official=REPOSITORY, revision=REVISION)
HUB = params.Scale(checkpoints="official")
CLASSES = {
    "sam": (SamConfig, SamModel),
    "sam2": (Sam2Config, Sam2Model),
    "clipseg": (CLIPSegConfig, CLIPSegForImageSegmentation),
}
RELEASED = pytest.mark.parametrize("name", CLASSES)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads of tiny networks wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Folders as transformers saves them, and as the hub has them: tiny ones, with weights unlike the built-in."""
    folder = tmp_path_factory.mktemp("released")
    for name, (config, network) in CLASSES.items():
        torch.manual_seed(5)
        network(config(**(sam_network if name == "sam" else models.load(name)).TINY)).save_pretrained(folder / name)
        (folder / name / "README.md").write_text("about")
    for file, content in models.load("clipseg").create("tiny", 0).files().items():
        (folder / "clipseg" / file).write_bytes(content)
    return folder


@pytest.fixture
def released(originals, tmp_path):
    """A copy of one model's folder, for a test to spoil; the large file is linked until then."""

    def copy(name: str):
        folder = tmp_path / f"released-{name}"
        folder.mkdir()
        for path in (originals / name).iterdir():
            (folder / path.name).symlink_to(path)
        return folder

    return copy


def replace(path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def obtain(name, folder, source=None, settings=None, scale=HUB, seed=0):
    checkpoints.obtain(name, settings or params.Model(source=source and str(source)), scale, seed, folder)


def refused(tmp_path, *arguments, **settings) -> str:
    out = tmp_path / "data" / "out"
    with pytest.raises(UserError) as caught:
        obtain(*arguments[:1], out, *arguments[1:], **settings)
    assert not out.parent.exists() or os.listdir(out.parent) == []
    message = " ".join(str(caught.value).split())
    assert len(message) < 600, "one line that a person reads"
    return message


def questions(name: str, network: torch.nn.Module) -> dict:
    """Something to ask a transformers network."""
    side = network.config.vision_config.image_size if name != "sam2" else 256
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    if name == "clipseg":
        ids = torch.tensor([[512, 65, 66, 513]])
        return {"pixel_values": pixels, "input_ids": ids, "interpolate_pos_encoding": True}
    labels = torch.ones(1, 1, 1, dtype=torch.long)
    return {"pixel_values": pixels, "input_points": torch.tensor([[[[40.5, 60.5]]]]), "input_labels": labels}


def answer(name: str, network: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        out = network(**questions(name, network))
    return out.logits if name == "clipseg" else torch.cat([out.pred_masks.flatten(), out.iou_scores.flatten()])


@RELEASED
def test_a_released_folder_becomes_ours_and_answers_as_before(name, originals, tmp_path):
    obtain(name, tmp_path / "ours", originals / name)
    segmenter = models.load(name).load(tmp_path / "ours", 1)
    network = CLASSES[name][1].from_pretrained(originals / name).eval()
    expected = answer(name, network)
    close = {"rtol": 1e-5, "atol": 1e-5 * float(expected.std())}  # sums may run in another order
    torch.testing.assert_close(answer(name, segmenter.network), expected, **close)
    state = network.state_dict()
    assert state.keys() == segmenter.network.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in segmenter.network.state_dict().items())
    built_in = models.load(name).create("tiny", 0).network.state_dict()
    assert any(not torch.equal(value, state[key]) for key, value in built_in.items()), "any weights would have passed"


def test_clipseg_keeps_its_own_tokenizer(originals, tmp_path):
    obtain("clipseg", tmp_path / "ours", originals / "clipseg")
    for file in ("vocab.json", "merges.txt"):
        assert (tmp_path / "ours" / file).read_bytes() == (originals / "clipseg" / file).read_bytes()


@RELEASED
def test_the_same_folder_gives_the_same_bytes(name, originals, tmp_path):
    for folder in ("a", "b"):
        obtain(name, tmp_path / folder, originals / name)
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    weights.check(tmp_path / "a")


def test_weights_in_half_precision_are_kept_in_full(originals, released, tmp_path):
    folder = released("sam")
    halves = {key: value.half() for key, value in load_file(originals / "sam" / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    obtain("sam", tmp_path / "ours", folder)
    state = models.load("sam").load(tmp_path / "ours", 1).network.state_dict()
    assert all(state[key].dtype == torch.float32 for key in halves)
    assert all(torch.equal(state[key], value.float()) for key, value in halves.items())


def test_the_hub_s_video_model_gives_its_picture_part(originals, released, tmp_path):
    """SAM 2 is released as a video model: another type in its config.json, and tensors that pictures do not need."""
    folder = released("sam2")
    config = json.loads((originals / "sam2" / "config.json").read_text())
    replace(folder / "config.json", json.dumps({**config, "model_type": "sam2_video", "num_maskmem": 7}).encode())
    tensors = {**load_file(originals / "sam2" / "model.safetensors"), "memory_encoder.x.weight": torch.ones(3)}
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    obtain("sam2", tmp_path / "ours", folder)
    network = models.load("sam2").load(tmp_path / "ours", 1).network
    state = Sam2Model.from_pretrained(originals / "sam2").state_dict()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


BOTH_WAYS = pytest.mark.parametrize("source, scale", [("tiny", "official"), (None, "tiny")])


@BOTH_WAYS
def test_a_tiny_model_that_learns_from_nothing_follows_from_the_seed(source, scale, tmp_path):
    obtain("sam2", tmp_path / "ours", source, scale=params.Scale(checkpoints=scale), seed=3)
    found = models.load("sam2").load(tmp_path / "ours", 1).state_dict()
    expected = models.load("sam2").create("tiny", 3).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


@BOTH_WAYS
@pytest.mark.parametrize("name", ["sam", "medsam", "pa_sam", "clipseg"])
def test_the_built_in_weights_come_with_the_project(name, source, scale, tmp_path):
    obtain(name, tmp_path / "ours", source, scale=params.Scale(checkpoints=scale), seed=3)
    found = models.load(name).load(tmp_path / "ours", 1).state_dict()
    (shipped,) = (tiny_checkpoints.FOLDER / name).glob("*.safetensors")
    expected = load_file(shipped)
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[key].to(value.dtype)) for key, value in found.items())


@pytest.mark.parametrize("name", ["clip_decoder_cnn", "clip_decoder_transformer", "clip_decoder_unet", "pointclip"])
def test_what_stands_on_clip_stands_on_the_built_in_one(name, tmp_path):
    obtain(name, tmp_path / "ours", "tiny")
    found = models.load(name).load(tmp_path / "ours", 1).state_dict()
    shipped = load_file(tiny_checkpoints.FOLDER / "clip" / weights.TENSORS)
    assert all(torch.equal(found[f"network.{key}"], value.to(torch.float32)) for key, value in shipped.items())


def test_a_model_without_released_weights_starts_from_seeded_ones(tmp_path, monkeypatch):
    tiny = models.load("sam").create("tiny", 0)  # quicker to make than a full one
    monkeypatch.setattr(models.load("unet"), "create", lambda size, seed: tiny if (size, seed) == ("full", 4) else None)
    obtain("unet", tmp_path / "ours", seed=4)
    found, expected = weights.read(tmp_path / "ours")[1], tiny.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 375042383\n"
PAGE = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"


@RELEASED
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name, file, released, tmp_path):
    folder = released(name)
    (folder / file).unlink()
    assert refused(tmp_path, name, folder).startswith(f"{folder / file}: not found")


@pytest.mark.parametrize("file", ["vocab.json", "merges.txt"])
def test_a_missing_tokenizer_is_named(file, released, tmp_path):
    folder = released("clipseg")
    (folder / file).unlink()
    assert refused(tmp_path, "clipseg", folder).startswith(f"{folder / file}: not found")


@RELEASED
@pytest.mark.parametrize("kind", ["page", "pointer", "half", "one byte short", "empty"])
def test_weights_that_are_none_are_named(name, kind, originals, released, tmp_path):
    folder = released(name)
    whole = (originals / name / "model.safetensors").read_bytes()
    content = {"page": PAGE, "pointer": POINTER, "half": whole[: len(whole) // 2], "empty": b""}.get(kind, whole[:-1])
    replace(folder / "model.safetensors", content)
    message = refused(tmp_path, name, folder)
    assert message.startswith(f"{folder / 'model.safetensors'}: no readable weights") and "fetch it again" in message


@RELEASED
@pytest.mark.parametrize("content", [PAGE, POINTER, b"", b"{", b"[]", b"7", b"\xff\xfe{}"])
def test_a_configuration_that_is_none_is_named(name, content, released, tmp_path):
    folder = released(name)
    replace(folder / "config.json", content)
    assert refused(tmp_path, name, folder).startswith(f"{folder / 'config.json'}: ")


@pytest.mark.parametrize("file", ["vocab.json", "merges.txt"])
@pytest.mark.parametrize("content", [PAGE, b"", b"[]", b"\xff\xfe\x00"])
def test_a_tokenizer_that_is_none_is_named(file, content, released, tmp_path):
    folder = released("clipseg")
    replace(folder / file, content)
    if file == "merges.txt" and content in (b"", b"[]"):  # both are one line of comment and no merges
        obtain("clipseg", tmp_path / "ours", folder)
        assert (tmp_path / "ours" / file).read_bytes() == content
    else:
        assert str(folder) in refused(tmp_path, "clipseg", folder)


def spoil(originals, folder, name, change):
    tensors = load_file(originals / name / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(change(tensors), folder / "model.safetensors", {"format": "pt"})


@RELEASED
def test_a_missing_tensor_is_named(name, originals, released, tmp_path):
    folder, gone = released(name), []

    def change(tensors):
        gone.append(sorted(key for key in tensors if "decoder" in key and key.endswith("weight"))[3])
        return {key: value for key, value in tensors.items() if key not in gone}

    spoil(originals, folder, name, change)
    message = refused(tmp_path, name, folder)
    assert message.startswith(f"{folder}: 1 tensors of") and gone[0] in message


@RELEASED
def test_a_tensor_of_another_shape_is_named(name, originals, released, tmp_path):
    folder, bent = released(name), []

    def change(tensors):
        bent.append(sorted(key for key in tensors if "decoder" in key and key.endswith("weight"))[3])
        return {**tensors, bent[0]: torch.cat([tensors[bent[0]]] * 2).contiguous()}

    spoil(originals, folder, name, change)
    message = refused(tmp_path, name, folder)
    assert message.startswith(f"{folder}: its tensors do not fit its config.json") and bent[0] in message


@pytest.mark.parametrize(
    "name, content",
    [
        ("sam", {"vision_config": 3}),
        ("sam2", {"vision_config": {"backbone_config": {"model_type": "x"}}}),
        ("clipseg", {"text_config": []}),
    ],
)
def test_a_configuration_of_something_else_is_refused(name, content, released, tmp_path):
    folder = released(name)
    replace(folder / "config.json", json.dumps(content).encode())
    assert refused(tmp_path, name, folder).startswith(f"{folder}: ")


def test_another_model_s_weights_are_refused(originals, tmp_path):
    for name, other in (("sam", "clipseg"), ("clipseg", "sam2"), ("sam2", "sam")):
        assert str(originals / other) in refused(tmp_path, name, originals / other)


def test_a_place_that_is_not_there_names_the_key(tmp_path):
    message = refused(tmp_path, "sam", tmp_path / "nowhere")
    assert message.startswith(
        f"sam: nothing at {str(tmp_path / 'nowhere')!r}; as its source (models.sam.source in params.yaml)"
    )


def test_a_file_where_a_folder_is_expected_is_refused(originals, tmp_path):
    message = refused(tmp_path, "sam", originals / "sam" / "model.safetensors")
    assert str(originals / "sam" / "model.safetensors") in message and "a folder" in message


def test_what_has_no_released_form_says_so(originals, tmp_path):
    assert "conv1.weight is missing in place of (64, 3, 7, 7); a ResNet-34 is expected" in refused(
        tmp_path, "unet", originals / "sam"
    )
    assert "unet_box has no released weights" in refused(tmp_path, "unet_box", originals / "sam")


def test_the_repository_of_params_comes_before_the_model_s_own():
    model = models.load("sam")
    assert checkpoints.official(model, params.Model()) == model.OFFICIAL
    assert checkpoints.official(model, OFFICIAL) == (REPOSITORY, REVISION)
    assert checkpoints.official(models.load("unet"), params.Model()) == (None, None)


@pytest.mark.parametrize("name", models.names())
def test_an_official_repository_is_pinned_to_a_commit(name):
    repository, revision = checkpoints.official(models.load(name), params.Model())
    if repository is not None:
        assert params.Model(official=repository, revision=revision) and "/" in repository


def test_an_unknown_model_lists_the_known_ones(tmp_path):
    assert refused(tmp_path, "sam3").startswith("unknown model 'sam3'; known: ")


def test_after_a_failure_the_old_checkpoint_is_there(originals, released, tmp_path):
    folder, out = released("sam"), tmp_path / "data" / "sam"
    obtain("sam", out, folder)
    digest = weights.digest(out)
    (folder / "config.json").unlink()
    with pytest.raises(UserError):
        obtain("sam", out, folder)
    weights.check(out)
    assert weights.digest(out) == digest and os.listdir(out.parent) == ["sam"]


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as its client asks for, of all versions; `server.how` is what is wrong with it."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        files = {file.name: file for file in self.server.folder.iterdir()}
        info, tree = (f"/api/models/{REPOSITORY}/{verb}/{REVISION}" for verb in ("revision", "tree"))
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/")
        if self.server.how == "silent":
            time.sleep(3)
            self.close_connection = True
        elif self.server.how == "page":
            self.give(200, PAGE, {"Content-Type": "text/html"})
        elif self.server.how in ("none", "locked") and path != "/":
            code, error = {"none": (404, "RepoNotFound"), "locked": (403, "GatedRepo")}[self.server.how]
            self.give(code, b"", {"X-Error-Code": error})
        elif path == "/":
            self.give(200, b"hub", {})
        elif path == info:
            siblings = [{"rfilename": name} for name in files]
            self.give_json({"id": REPOSITORY, "sha": REVISION, "siblings": siblings})
        elif path == tree:
            self.give_json([{"type": "file", "path": n, "size": f.stat().st_size, "oid": n} for n, f in files.items()])
        elif name in files and not (self.server.how == "without weights" and name == "model.safetensors"):
            self.give(200, files[name].read_bytes(), {"ETag": f'"{name}"', "X-Repo-Commit": REVISION})
        else:
            self.give(404, b"", {"X-Error-Code": "EntryNotFound"})

    def give_json(self, value):
        self.give(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def give(self, code, body, headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hubs(originals, monkeypatch):
    """Starts hubs on this machine."""
    started = []

    def start(how="well"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        server.daemon_threads = True
        server.asked, server.how, server.folder = [], how, originals / "sam"
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def online(tmp_path, monkeypatch):
    """The hub's client as it is outside of tests, with a cache of its own."""
    for key in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(key, "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    huggingface_hub.close_session()
    yield monkeypatch
    huggingface_hub.close_session()


def test_the_stage_fetches_from_a_hub(hubs, originals, tmp_path):
    hub = hubs()
    (tmp_path / "params.yaml").write_text(
        f"scale: {{checkpoints: official}}\nmodels: {{sam: {{official: {REPOSITORY}, revision: {REVISION}}}}}\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")}
    environment |= {"PYTHONPATH": str(STAGES), "PROMPTSEG_MIRROR": hub.url, "HF_HOME": str(tmp_path / "home")}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    command = [sys.executable, str(STAGES / "checkpoint.py"), "sam", "data/checkpoints/sam"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(tmp_path / "data" / "checkpoints") == ["sam"]
    obtain("sam", tmp_path / "expected", originals / "sam")
    assert weights.digest(tmp_path / "data" / "checkpoints" / "sam") == weights.digest(tmp_path / "expected")
    assert not any(path.endswith("README.md") for path in hub.asked)


def test_a_stage_without_its_repository_ends_in_one_line(hubs, online, tmp_path, capfd):
    online.setenv("PROMPTSEG_MIRROR", hubs("none").url)
    with pytest.raises(SystemExit) as ended:
        stage.guarded(lambda: obtain("sam", tmp_path / "data" / "sam", settings=OFFICIAL))
    output, errors = capfd.readouterr()
    assert (ended.value.code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"error: {REPOSITORY}: cannot be downloaded from the hub (")
    assert "404" in errors and "models.<name>.source" in errors
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("how, line", [("page", "JSONDecodeError"), ("locked", "403"), ("without weights", "404")])
def test_a_hub_that_does_not_give_is_one_line(how, line, hubs, online, tmp_path):
    online.setenv("PROMPTSEG_MIRROR", hubs(how).url)
    message = refused(tmp_path, "sam", settings=OFFICIAL)
    assert message.startswith(f"{REPOSITORY}: cannot be downloaded from the hub (") and line in message


def test_a_hub_out_of_reach_is_told_at_once(online, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    online.setenv("PROMPTSEG_MIRROR", f"http://name:secret@127.0.0.1:{port}")
    start = time.monotonic()
    message = refused(tmp_path, "sam", settings=OFFICIAL)
    assert message.startswith(f"{REPOSITORY}: cannot be downloaded from the hub (ConnectError")
    assert time.monotonic() - start < 10 and "secret" not in message


def test_a_hub_that_is_silent_is_not_waited_for(hubs, online, tmp_path):
    online.setattr(checkpoints, "TIMEOUT", 0.3)
    online.setenv("PROMPTSEG_MIRROR", hubs("silent").url)
    start = time.monotonic()
    assert "Timeout" in refused(tmp_path, "sam", settings=OFFICIAL)
    assert time.monotonic() - start < 10


def test_what_was_fetched_once_needs_no_hub(hubs, online, originals, tmp_path):
    server = hubs()
    online.setenv("PROMPTSEG_MIRROR", server.url + "/")
    obtain("sam", tmp_path / "first", settings=OFFICIAL)
    server.how = "silent"
    online.setattr(checkpoints, "TIMEOUT", 0.3)
    obtain("sam", tmp_path / "second", settings=OFFICIAL)
    assert weights.digest(tmp_path / "first") == weights.digest(tmp_path / "second")


def test_in_offline_mode_the_hub_is_not_asked(hubs, online, tmp_path):
    server = hubs()
    online.setattr(constants, "HF_HUB_OFFLINE", True)
    online.setenv("PROMPTSEG_MIRROR", server.url)
    huggingface_hub.close_session()
    assert "offline" in refused(tmp_path, "sam", settings=OFFICIAL).lower() and server.asked == []


def test_logins_and_signatures_in_addresses_are_not_told(online, tmp_path):
    def snapshot_download(*_, **__):
        raise OSError("Forbidden for url: https://user:pass@cdn.example/x?Signature=abc&Key=1\nsecond line")

    online.setattr(checkpoints, "_unreachable", lambda hub: None)
    online.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    message = refused(tmp_path, "sam", settings=OFFICIAL)
    assert "(OSError: Forbidden for url: https://cdn.example/x)" in message
