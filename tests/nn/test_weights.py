"""Folders of weights: read as written, refused where changed; and nothing but tensors is ever unpickled."""

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import weights
from safetensors.torch import save_file
from torch import nn

CONFIG = {"model": "tiny", "sizes": [3, 4], "note": "é"}
FILES = {"vocab.json": b"{}", "merges.txt": b"#version: 0.2\n"}
GENERATOR = torch.Generator().manual_seed(0)
TENSORS = {
    "z.weight": torch.randn(3, 4, generator=GENERATOR), "a.bias": torch.randn(7, generator=GENERATOR).half(),
    "count": torch.tensor(5), "empty": torch.zeros(0, 2),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    weights.write(tmp_path / "w", CONFIG, TENSORS, FILES)
    return tmp_path / "w"


def same(loaded: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return loaded.keys() == expected.keys() and all(
        torch.equal(loaded[name], value) and loaded[name].dtype == value.dtype for name, value in expected.items()
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(call, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        call(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_are_read_as_written_with_checksums_in_the_format_of_sha256sum(folder, tmp_path):
    config, loaded = weights.read(folder)
    assert config == CONFIG and same(loaded, TENSORS) and os.listdir(tmp_path) == ["w"]
    files = contents(folder)
    lines = files.pop("SHA256SUMS").decode().splitlines()
    assert files.keys() == {"config.json", "model.safetensors", *FILES} and FILES.items() <= files.items()
    assert lines == [f"{hashlib.sha256(files[name]).hexdigest()}  {name}" for name in sorted(files)]


def test_the_same_tensors_give_the_same_bytes_in_any_order(folder, tmp_path):
    backwards = (dict(reversed(values.items())) for values in (CONFIG, TENSORS, FILES))
    weights.write(tmp_path / "b", *backwards)
    assert contents(folder) == contents(tmp_path / "b") and weights.digest(folder) == weights.digest(tmp_path / "b")
    weights.write(tmp_path / "c", CONFIG, {**TENSORS, "count": torch.tensor(6)}, FILES)
    assert weights.digest(tmp_path / "c") != weights.digest(folder)


def test_tied_views_and_transposed_tensors_are_read_as_written(tmp_path):
    table = torch.arange(12.0).reshape(3, 4)
    tied = {"in": table, "out": table, "row": table[1], "transposed": table.T, "parameter": nn.Parameter(table * 2)}
    weights.write(tmp_path / "w", {}, tied)
    assert same(weights.read(tmp_path / "w")[1], {name: value.detach() for name, value in tied.items()})
    assert torch.equal(table, torch.arange(12.0).reshape(3, 4))


def test_writing_again_leaves_nothing_of_the_old_folder_and_a_configuration_that_is_not_json_changes_nothing(folder):
    before = contents(folder)
    with pytest.raises(ValueError):
        weights.write(folder, {"rate": float("nan")}, TENSORS)
    assert contents(folder) == before and os.listdir(folder.parent) == ["w"]
    weights.write(folder, {}, {"x": torch.ones(2)})
    assert contents(folder).keys() == {"config.json", "model.safetensors", "SHA256SUMS"}
    assert same(weights.read(folder)[1], {"x": torch.ones(2)})


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "merges.txt", "vocab.json", "SHA256SUMS"])
def test_a_file_that_is_longer_or_shorter_missing_or_flipped_in_a_bit_is_refused(folder, name):
    path, rng = folder / name, np.random.default_rng(0)
    data = path.read_bytes()
    for changed in [data[:-1], data + b"\0", b"", *map(bytearray, [data] * 4)]:
        if isinstance(changed, bytearray):
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        message = refused(weights.read, folder)
        assert str(folder) in message and "dvc repro" in message
    path.write_bytes(data)
    assert weights.read(folder)[0] == CONFIG
    path.unlink()
    missing = f"{path}: missing or changed since it was written; delete {folder}"
    assert refused(weights.read, folder).startswith(missing if name != "SHA256SUMS" else f"{folder}: no weights there")


def test_checksums_without_a_required_file_are_refused(folder):
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "model.safetensors" not in line))
    (folder / "model.safetensors").write_bytes(b"anything")
    assert "model.safetensors" in refused(weights.read, folder)


def test_a_path_without_weights_is_refused_with_the_way_to_make_them(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nothing", tmp_path / "file", tmp_path / "folder"):
        for call in (weights.read, weights.digest, weights.check):
            assert refused(call, path) == f"{path}: no weights there; `dvc repro` makes them"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "../../etc/hostname", "..", ""])
def test_checksums_of_paths_outside_are_not_followed(folder, name, monkeypatch):
    (folder.parent / "outside").write_text("secret")
    sums = folder / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{hashlib.sha256(b'secret').hexdigest()}  {name}\n")
    opened, digest = [], weights.sha256
    monkeypatch.setattr(weights, "sha256", lambda path: opened.append(path) or digest(path))
    assert str(folder) in refused(weights.read, folder)
    assert all(path.resolve().parent == folder for path in opened)


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin", "safetensors"])
def test_official_files_of_tensors_are_read(tmp_path, suffix):
    path, module = tmp_path / f"model.{suffix}", nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    for given in (TENSORS, module.state_dict()):
        for zipped in (True, False):
            if suffix == "safetensors":
                save_file(given, path)
            else:
                torch.save(given, path, _use_new_zipfile_serialization=zipped)
            assert same(weights.tensors(path), dict(given))


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


X = torch.ones(3)


@pytest.mark.parametrize(
    "content, words",
    [(nn.Linear(2, 2), "it holds more than tensors (torch.nn.modules.linear.Linear), whose code would run; it is not "
      "opened: where it was trained, save the tensors alone by torch.save(model.state_dict(), path)"),
     *[(content, "a mapping of names to tensors is expected; save it by torch.save(model.state_dict(), ...)")
       for content in (X, [X], {"x": X, "epoch": 3}, 7, {1: X}, {"model": {}}, {"optimizer": {"state": {}}})]],
)  # fmt: skip
def test_anything_but_a_mapping_of_names_to_tensors_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "model.pth")
    assert refused(weights.tensors, tmp_path / "model.pth").endswith(words)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 375042383\n"


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_that_is_missing_truncated_or_holds_no_weights_is_refused(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    assert refused(weights.tensors, path) == f"{path}: not found"
    (save_file if suffix == "safetensors" else torch.save)({"x": torch.randn(400, 10)}, path)
    data = path.read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("archive/readme.txt", "no weights")
    truncated = [data[: int(len(data) * share)] for share in (0, 0.1, 0.5, 0.9, 0.999)]
    page, noise = b"<!DOCTYPE html><html><body>Sign in</body></html>", np.random.default_rng(0).bytes(5000)
    huge_header, archive = (1 << 62).to_bytes(8, "little") + b"{}", (tmp_path / "a.zip").read_bytes()
    for content in (*truncated, page, POINTER, archive, b"hello\n", noise, huge_header):
        path.write_bytes(content)
        assert refused(weights.tensors, path).startswith(f"{path}: ")


def test_a_prefix_is_removed_from_the_names_that_have_it():
    renamed = weights.without_prefix({"network.a": 1, "network.network.b": 2, "c": 3}, "network.")
    assert renamed == {"a": 1, "network.b": 2, "c": 3}
