"""Weights: what is written comes back, what was changed is refused, and nothing but tensors is ever unpickled."""

import hashlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from promptseg import models
from promptseg.core.errors import UserError
from promptseg.nn import finetuned_weights, weights
from promptseg.nn.segmenter import Segmenter
from safetensors.torch import save_file
from torch import nn

CONFIG = {"model": "tiny", "sizes": [3, 4], "note": "é"}
FILES = {"vocab.json": b"{}", "merges.txt": b"#version: 0.2\n"}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "z.weight": torch.randn(3, 4, generator=generator),
        "a.bias": torch.randn(7, generator=generator).half(),
        "count": torch.tensor(5),
        "empty": torch.zeros(0, 2),
    }


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in expected.items()
    )


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_comes_back(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    config, found = weights.read(tmp_path / "w")
    assert config == CONFIG and same(found, tensors())
    expected = {"config.json", "model.safetensors", "SHA256SUMS", *FILES}
    assert contents(tmp_path / "w").keys() == expected and FILES.items() <= contents(tmp_path / "w").items()
    assert os.listdir(tmp_path) == ["w"]


def test_the_sums_are_those_that_sha256sum_checks(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    held = contents(tmp_path / "w")
    lines = held.pop("SHA256SUMS").decode().splitlines()
    assert lines == [f"{hashlib.sha256(held[name]).hexdigest()}  {name}" for name in sorted(held)]


def test_the_same_tensors_give_the_same_bytes_in_any_order(tmp_path):
    backwards = dict(reversed(tensors().items()))
    weights.write(tmp_path / "a", CONFIG, tensors(), FILES)
    weights.write(tmp_path / "b", dict(reversed(CONFIG.items())), backwards, dict(reversed(FILES.items())))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    weights.write(tmp_path / "c", CONFIG, {**tensors(), "count": torch.tensor(6)}, FILES)
    assert weights.digest(tmp_path / "c") != weights.digest(tmp_path / "a")


def test_tied_views_and_transposed_tensors_come_back(tmp_path):
    table = torch.arange(12.0).reshape(3, 4)
    tied = {"in": table, "out": table, "row": table[1], "turned": table.T, "learns": nn.Parameter(table * 2)}
    weights.write(tmp_path / "w", {}, tied)
    assert same(weights.read(tmp_path / "w")[1], {name: value.detach() for name, value in tied.items()})
    assert torch.equal(table, torch.arange(12.0).reshape(3, 4))


def test_writing_again_leaves_nothing_of_the_old_folder(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), {"old.txt": b"old"})
    weights.write(tmp_path / "w", {}, {"x": torch.ones(2)})
    assert contents(tmp_path / "w").keys() == {"config.json", "model.safetensors", "SHA256SUMS"}
    assert same(weights.read(tmp_path / "w")[1], {"x": torch.ones(2)})


def test_a_configuration_that_is_no_json_changes_nothing(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors())
    before = contents(tmp_path / "w")
    with pytest.raises(ValueError):
        weights.write(tmp_path / "w", {"rate": float("nan")}, tensors())
    assert contents(tmp_path / "w") == before and os.listdir(tmp_path) == ["w"]


def test_a_flipped_bit_anywhere_is_refused(tmp_path):
    folder, rng = tmp_path / "w", np.random.default_rng(0)
    weights.write(folder, CONFIG, tensors(), FILES)
    names = sorted(contents(folder))
    for number in range(60):
        path = folder / names[number % len(names)]
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        message = refused(weights.read, folder)
        assert str(folder) in message and "dvc repro" in message
        path.write_bytes(whole)
    assert weights.read(folder)[0] == CONFIG


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b""])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "SHA256SUMS"])
def test_a_file_that_is_longer_or_shorter_is_refused(tmp_path, name, change):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    path = tmp_path / "w" / name
    path.write_bytes(change(path.read_bytes()))
    assert str(tmp_path / "w") in refused(weights.read, tmp_path / "w")


def test_a_missing_file_is_named(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    (tmp_path / "w" / "vocab.json").unlink()
    assert refused(weights.read, tmp_path / "w").startswith(f"{tmp_path / 'w' / 'vocab.json'}: missing or changed")


def test_sums_that_lack_a_file_are_refused(tmp_path):
    """Sums that say nothing vouch for nothing."""
    weights.write(tmp_path / "w", CONFIG, tensors())
    sums = tmp_path / "w" / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("model.safetensors")]
    sums.write_text("\n".join(kept) + "\n")
    (tmp_path / "w" / "model.safetensors").write_bytes(b"anything")
    assert "model.safetensors" in refused(weights.read, tmp_path / "w")


@pytest.mark.parametrize("where", ["nothing", "file", "folder"])
def test_a_place_without_weights_says_how_to_make_them(tmp_path, where):
    if where == "folder":
        (tmp_path / where).mkdir()
    if where == "file":
        (tmp_path / where).write_text("")
    for call in (weights.read, weights.digest, weights.check):
        assert refused(call, tmp_path / where) == f"{tmp_path / where}: no weights there; `dvc repro` makes them"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "../../etc/hostname", "..", ""])
def test_sums_that_point_outside_stay_inside(tmp_path, name, monkeypatch):
    weights.write(tmp_path / "w", CONFIG, tensors())
    outside = tmp_path / "outside"
    outside.write_text("secret")
    sums = tmp_path / "w" / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{hashlib.sha256(b'secret').hexdigest()}  {name}\n")
    opened, digest = [], weights.sha256
    monkeypatch.setattr(weights, "sha256", lambda path: opened.append(path) or digest(path))
    assert str(tmp_path / "w") in refused(weights.read, tmp_path / "w")
    assert all(path.resolve().parent == tmp_path / "w" for path in opened)


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_official_file_of_tensors_is_read(tmp_path, suffix, zipped):
    path = tmp_path / f"model.{suffix}"
    torch.save(tensors(), path, _use_new_zipfile_serialization=zipped)
    assert same(weights.tensors(path), tensors())


def test_the_state_of_a_module_is_read(tmp_path):
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    torch.save(module.state_dict(), tmp_path / "model.pth")
    assert same(weights.tensors(tmp_path / "model.pth"), dict(module.state_dict()))


def test_safetensors_are_read(tmp_path):
    save_file(tensors(), tmp_path / "model.safetensors")
    assert same(weights.tensors(tmp_path / "model.safetensors"), tensors())


class Attack:
    """Unpickling it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"echo harm > '{self.path}'",)


def pickled(target, path):
    path.write_bytes(pickle.dumps(target, protocol=2))


def legacy(target, path):
    torch.save(target, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [pickled, torch.save, legacy])
@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_would_run_code_is_refused_and_does_not_run(tmp_path, write, inside):
    path, harm = tmp_path / "model.pth", tmp_path / "harm"
    write({"x": torch.ones(2), "y": Attack(harm)} if inside else Attack(harm), path)
    assert "it is not opened" in refused(weights.tensors, path)
    assert not harm.exists()
    with open(path, "rb") as file:  # were it unpickled, it would indeed do harm
        torch.load(file, weights_only=False) if write is not pickled else pickle.load(file)
    assert harm.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    assert "more than tensors" in refused(weights.tensors, tmp_path / "model.pth")


@pytest.mark.parametrize(
    "held", [torch.ones(3), [torch.ones(3)], {"state_dict": {"x": torch.ones(3)}}, {"x": torch.ones(3), "epoch": 3}, 7]
)
def test_something_other_than_a_mapping_to_tensors_is_refused(tmp_path, held):
    torch.save(held, tmp_path / "model.pth")
    assert refused(weights.tensors, tmp_path / "model.pth").endswith("a mapping of names to tensors is expected")


def test_names_that_are_no_names_are_refused(tmp_path):
    torch.save({1: torch.ones(3)}, tmp_path / "model.pth")
    assert refused(weights.tensors, tmp_path / "model.pth").endswith("a mapping of names to tensors is expected")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"model.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)({"x": torch.randn(400, 10)}, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert refused(weights.tensors, path).startswith(f"{path}: ")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 375042383\n"


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/readme.txt", "no weights")
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kind", ["page", "pointer", "zip", "text", "noise", "huge header"])
def test_a_file_that_is_none_is_refused(tmp_path, suffix, kind):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(
        {
            "page": b"<!DOCTYPE html><html><body>Sign in</body></html>",
            "pointer": POINTER,
            "zip": archive(tmp_path / "a.zip"),
            "text": b"hello\n",
            "noise": np.random.default_rng(0).bytes(5000),
            "huge header": (1 << 62).to_bytes(8, "little") + b"{}",
        }[kind]
    )
    assert refused(weights.tensors, path).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    assert refused(weights.tensors, tmp_path / name) == f"{tmp_path / name}: not found"


@pytest.mark.parametrize("left_out", ["mask_decoder.iou_token.weight", "vision_encoder.neck.conv2.weight"])
def test_a_network_is_not_filled_where_a_tensor_is_missing(tmp_path, left_out):
    network = models.load("sam").create("tiny", 0).network
    state = network.state_dict()
    filled = weights.fill(type(network), network.config, dict(state), tmp_path)
    assert same(filled.state_dict(), state) and not filled.training
    del state[left_out]
    message = refused(weights.fill, type(network), network.config, state, tmp_path)
    assert message == f"{tmp_path}: 1 tensors of SamModel are missing, such as {left_out}"


def test_a_beginning_is_taken_off_the_names_that_have_it():
    found = weights.without({"network.a": 1, "network.network.b": 2, "c": 3}, "network.")
    assert found == {"a": 1, "network.b": 2, "c": 3}


class Tiny(Segmenter):
    NAME, PROMPTS, PARTS = "tiny", frozenset({"none"}), {"head": ("head.",)}

    def __init__(self):
        super().__init__()
        self.body, self.head, self.told = nn.Linear(2, 3), nn.Linear(3, 1), False

    def trained(self):
        self.told = True


def learned(tmp_path):
    segmenter = Tiny()
    names = segmenter.set_trainable(["head"])
    finetuned_weights.write(
        tmp_path / "w", {name: segmenter.state_dict()[name] for name in names}, segmenter.NAME, "digest", {"epoch": 3}
    )
    return segmenter, tmp_path / "w"


def test_only_what_learned_is_kept_and_put_back(tmp_path):
    segmenter, folder = learned(tmp_path)
    config, held = weights.read(folder)
    assert config == {"model": "tiny", "checkpoint": "digest", "learned": ["head.bias", "head.weight"], "epoch": 3}
    assert held.keys() == {"head.weight", "head.bias"}
    fresh = Tiny()
    body = fresh.body.weight.clone()
    finetuned_weights.apply(fresh, "digest", folder)
    assert torch.equal(fresh.head.weight, segmenter.head.weight) and torch.equal(fresh.body.weight, body)
    assert fresh.told


def test_weights_of_another_checkpoint_are_refused(tmp_path):
    _, folder = learned(tmp_path)
    fresh = Tiny()
    before = fresh.head.weight.clone()
    assert str(folder) in refused(finetuned_weights.apply, fresh, "another", folder)
    assert torch.equal(fresh.head.weight, before) and not fresh.told


@pytest.mark.parametrize(
    "held, line",
    [
        ({"tail.weight": torch.ones(1)}, 'Unexpected key(s) in state_dict: "tail.weight"'),
        ({"head.weight": torch.ones(1, 4), "head.bias": torch.ones(1)}, "size mismatch for head.weight"),
    ],
)
def test_weights_that_do_not_fit_the_model_are_refused_in_one_line(tmp_path, held, line):
    folder = tmp_path / "w"
    weights.write(folder, {"model": "tiny", "checkpoint": "digest", "learned": sorted(held)}, held)
    fresh = Tiny()
    message = refused(finetuned_weights.apply, fresh, "digest", folder)
    assert message.startswith(f"{folder}: does not fit tiny ({line}") and not fresh.told


@pytest.mark.parametrize("left_out", ["head.weight", "head.bias"])
def test_weights_that_lack_what_was_learned_are_refused(tmp_path, left_out):
    _, folder = learned(tmp_path)
    config, held = weights.read(folder)
    weights.write(folder, config, {name: value for name, value in held.items() if name != left_out})
    fresh = Tiny()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    assert refused(finetuned_weights.apply, fresh, "digest", folder).startswith(f"{folder}: not all of the tensors")
    assert same(fresh.state_dict(), before) and not fresh.told


def test_weights_with_more_than_was_learned_are_refused(tmp_path):
    _, folder = learned(tmp_path)
    config, held = weights.read(folder)
    weights.write(folder, config, {**held, "body.bias": torch.zeros(3)})
    assert str(folder) in refused(finetuned_weights.apply, Tiny(), "digest", folder)
