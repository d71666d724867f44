"""Folders of weights: read as written, refused where changed; and nothing but tensors is ever unpickled."""

import hashlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import weights
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


def same(loaded: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return loaded.keys() == expected.keys() and all(
        torch.equal(loaded[name], value) and loaded[name].dtype == value.dtype for name, value in expected.items()
    )


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_are_read_as_written(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    config, loaded = weights.read(tmp_path / "w")
    assert config == CONFIG and same(loaded, tensors())
    expected = {"config.json", "model.safetensors", "SHA256SUMS", *FILES}
    assert contents(tmp_path / "w").keys() == expected and FILES.items() <= contents(tmp_path / "w").items()
    assert os.listdir(tmp_path) == ["w"]


def test_checksums_have_the_format_of_sha256sum(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), FILES)
    files = contents(tmp_path / "w")
    lines = files.pop("SHA256SUMS").decode().splitlines()
    assert lines == [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]


def test_the_same_tensors_give_the_same_bytes_in_any_order(tmp_path):
    backwards = dict(reversed(tensors().items()))
    weights.write(tmp_path / "a", CONFIG, tensors(), FILES)
    weights.write(tmp_path / "b", dict(reversed(CONFIG.items())), backwards, dict(reversed(FILES.items())))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert weights.digest(tmp_path / "a") == weights.digest(tmp_path / "b")
    weights.write(tmp_path / "c", CONFIG, {**tensors(), "count": torch.tensor(6)}, FILES)
    assert weights.digest(tmp_path / "c") != weights.digest(tmp_path / "a")


def test_tied_views_and_transposed_tensors_are_read_as_written(tmp_path):
    table = torch.arange(12.0).reshape(3, 4)
    tied = {"in": table, "out": table, "row": table[1], "transposed": table.T, "parameter": nn.Parameter(table * 2)}
    weights.write(tmp_path / "w", {}, tied)
    assert same(weights.read(tmp_path / "w")[1], {name: value.detach() for name, value in tied.items()})
    assert torch.equal(table, torch.arange(12.0).reshape(3, 4))


def test_writing_again_leaves_nothing_of_the_old_folder(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors(), {"old.txt": b"old"})
    weights.write(tmp_path / "w", {}, {"x": torch.ones(2)})
    assert contents(tmp_path / "w").keys() == {"config.json", "model.safetensors", "SHA256SUMS"}
    assert same(weights.read(tmp_path / "w")[1], {"x": torch.ones(2)})


def test_a_configuration_that_is_not_json_changes_nothing(tmp_path):
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
        original = path.read_bytes()
        changed = bytearray(original)
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        message = refused(weights.read, folder)
        assert str(folder) in message and "dvc repro" in message
        path.write_bytes(original)
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


def test_checksums_without_a_required_file_are_refused(tmp_path):
    weights.write(tmp_path / "w", CONFIG, tensors())
    sums = tmp_path / "w" / "SHA256SUMS"
    remaining = [line for line in sums.read_text().splitlines() if not line.endswith("model.safetensors")]
    sums.write_text("\n".join(remaining) + "\n")
    (tmp_path / "w" / "model.safetensors").write_bytes(b"anything")
    assert "model.safetensors" in refused(weights.read, tmp_path / "w")


@pytest.mark.parametrize("kind", ["nothing", "file", "folder"])
def test_a_path_without_weights_is_refused_with_the_way_to_make_them(tmp_path, kind):
    if kind == "folder":
        (tmp_path / kind).mkdir()
    if kind == "file":
        (tmp_path / kind).write_text("")
    for call in (weights.read, weights.digest, weights.check):
        assert refused(call, tmp_path / kind) == f"{tmp_path / kind}: no weights there; `dvc repro` makes them"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "../../etc/hostname", "..", ""])
def test_checksums_of_paths_outside_are_not_followed(tmp_path, name, monkeypatch):
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
def test_official_files_of_tensors_are_read(tmp_path, suffix, zipped):
    path = tmp_path / f"model.{suffix}"
    torch.save(tensors(), path, _use_new_zipfile_serialization=zipped)
    assert same(weights.tensors(path), tensors())


def test_the_state_dict_of_a_module_is_read(tmp_path):
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
    with open(path, "rb") as file:  # unpickled freely, it does run
        torch.load(file, weights_only=False) if write is not pickled else pickle.load(file)
    assert harm.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    assert "more than tensors" in refused(weights.tensors, tmp_path / "model.pth")


@pytest.mark.parametrize(
    "content",
    [torch.ones(3), [torch.ones(3)], {"state_dict": {"x": torch.ones(3)}}, {"x": torch.ones(3), "epoch": 3}, 7],
)
def test_anything_but_a_mapping_to_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pth")
    assert refused(weights.tensors, tmp_path / "model.pth").endswith("a mapping of names to tensors is expected")


def test_names_that_are_not_strings_are_refused(tmp_path):
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
def test_a_file_without_weights_is_refused(tmp_path, suffix, kind):
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
def test_a_missing_file_of_tensors_is_named(tmp_path, name):
    assert refused(weights.tensors, tmp_path / name) == f"{tmp_path / name}: not found"


def test_a_prefix_is_removed_from_the_names_that_have_it():
    renamed = weights.without_prefix({"network.a": 1, "network.network.b": 2, "c": 3}, "network.")
    assert renamed == {"a": 1, "network.b": 2, "c": 3}
