"""Folders of weights and files of tensors: the only module that opens either, verified first.

A folder of weights holds config.json, model.safetensors, whatever else the model needs (a tokenizer), and SHA256SUMS
over all of them. A flipped byte in safetensors reads back silently different, so checksums are verified before a file
is opened.
"""

import json
import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from promptseg.core.errors import UserError
from promptseg.core.files import replacing, sha256

CONFIG, TENSORS, SUMS = "config.json", "model.safetensors", "SHA256SUMS"
PICKLED_TENSORS = "pytorch_model.bin"  # what the hub has in place of model.safetensors for releases before 2023


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
    return json.loads((folder / CONFIG).read_text()), tensors(folder / TENSORS)


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
        Their paths. The tensors are model.safetensors or, in old releases, pytorch_model.bin.

    Raises:
        UserError: one of them is missing, or config.json is not a JSON object.
    """
    config, path = source / CONFIG, source / TENSORS
    if not path.is_file() and (source / PICKLED_TENSORS).is_file():
        path = source / PICKLED_TENSORS
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


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a .safetensors file, or of an official .pth, .pt or .bin file without running its code.

    Raises:
        UserError: the file is missing or damaged, or holds anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except pickle.UnpicklingError as error:  # for damaged files and for code alike
        raise UserError(f"{path}: it holds more than tensors, or is damaged; it is not opened") from error
    except Exception as error:  # damage makes torch raise whatever its parts do: KeyError, OSError, RuntimeError
        raise UserError(f"{path}: no readable weights ({type(error).__name__}); fetch it again") from error
    named = isinstance(loaded, dict) and all(isinstance(name, str) for name in loaded)
    if not named or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UserError(f"{path}: a mapping of names to tensors is expected")
    return loaded


def without_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Remove a prefix from the names that have it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
