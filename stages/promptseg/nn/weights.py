"""Folders of weights and files of tensors: the only module that opens either, verified first.

A folder of weights holds config.json, model.safetensors, whatever else the model needs (a tokenizer), and SHA256SUMS
over all of them. A flipped byte in safetensors reads back silently different, so checksums are verified before a file
is opened; so are those inside of what torch.save wrote.
"""

import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from promptseg.core.errors import UserError, of_system
from promptseg.core.files import replacing, sha256
from promptseg.nn import state_dicts

CONFIG, TENSORS, SUMS = "config.json", "model.safetensors", "SHA256SUMS"
PICKLED_TENSORS = "pytorch_model.bin"  # what the hub has in place of model.safetensors for releases before 2023
_INDEX = ".index.json"  # after either name: a file that lists the shards of a large model


def write(folder: Path, config: dict, tensors: dict[str, torch.Tensor], files: dict[str, bytes] | None = None) -> None:
    """Write a folder of weights atomically. The same tensors give the same bytes.

    Args:
        folder: replaced if it exists.
        config: content of config.json.
        tensors: by name; tied tensors are stored once for each of their names.
        files: contents of further files by name.

    Raises:
        ValueError: config is not JSON; the folder is then unchanged.
    """
    # safetensors takes no views of one storage.
    copies = {name: tensors[name].detach().to("cpu", copy=True).contiguous() for name in sorted(tensors)}
    contents = {
        CONFIG: (json.dumps(config, indent=2, sort_keys=True, allow_nan=False) + "\n").encode(),
        TENSORS: save(copies),
        **(files or {}),
    }
    with replacing(folder) as aside:
        aside.mkdir()
        for name, content in contents.items():
            (aside / name).write_bytes(content)
        sums = "".join(f"{sha256(aside / name)}  {name}\n" for name in sorted(contents))
        (aside / SUMS).write_text(sums)


def read(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Read configuration and tensors of a folder that `write` made. Raises UserError if any of its files changed."""
    check(folder)
    return json.loads((folder / CONFIG).read_text()), _load(folder / TENSORS)


def digest(folder: Path) -> str:
    """Hex sha256 that identifies all files of a folder of weights. Raises UserError if it holds no weights."""
    if not (folder / SUMS).is_file():
        raise UserError(f"{folder}: no weights there; `dvc repro` makes them")
    return sha256(folder / SUMS)


def check(folder: Path) -> None:
    """Raise UserError unless every file of a folder of weights has the checksum in SHA256SUMS."""
    digest(folder)
    sums = (folder / SUMS).read_bytes().decode(errors="replace")
    listed = {Path(line.partition("  ")[2]).name for line in sums.splitlines()}
    for name in sorted({CONFIG, TENSORS, *listed}):  # checksums without these two would verify nothing
        path = folder / name
        if not path.is_file() or f"{sha256(path)}  {name}\n" not in sums:
            raise UserError(f"{path}: missing or changed since it was written; delete {folder} and run `dvc repro`")


def released(source: Path) -> tuple[Path, Path]:
    """Find config.json and the tensors in a folder in the layout of the Hugging Face hub.

    Returns:
        Their paths. The tensors are model.safetensors, the index of its shards, or the same of pytorch_model.bin.

    Raises:
        UserError: one of them is missing, or config.json is not a JSON object.
    """
    config = source / CONFIG
    names = (TENSORS, TENSORS + _INDEX, PICKLED_TENSORS, PICKLED_TENSORS + _INDEX)
    path = next((source / name for name in names if (source / name).is_file()), source / TENSORS)
    for required in (config, path):
        if not required.is_file():
            raise UserError(f"{required}: not found; a folder with config.json and model.safetensors is expected")
    try:
        is_object = isinstance(json.loads(config.read_text("utf-8")), dict)
    except ValueError:  # neither JSON nor UTF-8
        is_object = False
    if not is_object:
        raise UserError(f"{config}: no configuration, which is a JSON object; fetch it again")
    return config, path


def is_single_file(source: Path) -> bool:
    """Return whether a source is a file of tensors, and no folder.

    Raises:
        UserError: it is a file of a folder in the layout of the hub, which has the configuration as well.
    """
    if source.name in (TENSORS, PICKLED_TENSORS) and (source.parent / CONFIG).is_file():
        raise UserError(f"{source}: {CONFIG} beside it belongs to it; give a folder with both, {source.parent}")
    return source.is_file()


def tensors(path: Path, roots: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """Read the tensors of a file that others wrote, without running its code.

    Args:
        path: a .safetensors file, the index of shards, or a file of torch.save, alone or beside an optimizer.
        roots: see `state_dicts.unwrap`.

    Raises:
        UserError: a file is missing or damaged, or holds no named tensors.
    """
    if not path.name.endswith(_INDEX):
        return state_dicts.unwrap(_load(path), path, roots)
    loaded: dict[str, torch.Tensor] = {}
    for name in _shards(path):
        loaded |= state_dicts.unwrap(_load(path.parent / name), path.parent / name)
    return state_dicts.unwrap(loaded, path, roots)


def _shards(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):  # no JSON, or none of this form
        raise UserError(f"{index}: no index of shards; fetch it again") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(f"{index}: {name!r} is no file beside it; fetch it again")
    return names


def _load(path: Path) -> Any:
    """Content of a file of tensors. Raises UserError if it is missing or damaged, or holds more than plain values."""
    try:
        if path.suffix == ".safetensors":
            # Where a tensor begins in the file is no multiple of 64 bytes, as torch's own memory is, and on some
            # processors the last bits of a product depend on that.
            return {name: tensor.clone() for name, tensor in load_file(path).items()}
        if zipfile.is_zipfile(path):
            _check_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except pickle.UnpicklingError as error:  # for damaged files and for code alike
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise UserError(
                f"{path}: it holds more than tensors ({named[1]}), whose code would run; it is not opened: where it "
                "was trained, save the tensors alone by torch.save(model.state_dict(), path)"
            ) from error
        raise UserError(f"{path}: it holds more than tensors, or is damaged; it is not opened") from error
    except Exception as error:  # damage makes torch raise whatever its parts do: KeyError, OSError, RuntimeError
        damaged = UserError(f"{path}: no readable weights ({type(error).__name__}); fetch it again")
        raise of_system(error, path) or damaged from error


def _check_zip(path: Path) -> None:
    """Verify the checksums in a file of torch.save, which torch.load does not. Raises BadZipFile where one differs."""
    with zipfile.ZipFile(path) as file:
        # All are 0 where it was saved without, by torch.serialization.set_crc32_options(False).
        if any(entry.CRC for entry in file.infolist()) and (damaged := file.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} differs")


def without_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Remove a prefix from the names that have it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
