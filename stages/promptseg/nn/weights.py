"""Tensors in and out: the one place that opens weights, and it checks them first.

A folder of weights holds config.json, model.safetensors, whatever else the model needs, and SHA256SUMS over all of
them. A flipped byte in safetensors reads back silently different, so the sums are checked before a file is opened.
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save

from promptseg.core.errors import UserError
from promptseg.core.files import replacing, sha256

CONFIG, TENSORS, SUMS = "config.json", "model.safetensors", "SHA256SUMS"
OLD = "pytorch_model.bin"  # what the hub has in place of model.safetensors for a release from before 2023


def write(folder: Path, config: dict, tensors: dict[str, torch.Tensor], files: dict[str, bytes] | None = None) -> None:
    """Write a folder of weights, whole or not at all. The same tensors give the same bytes."""
    # Tied tensors are stored once for each of their names: safetensors takes no views of one storage.
    plain = {name: tensors[name].detach().to("cpu", copy=True).contiguous() for name in sorted(tensors)}
    contents = {
        CONFIG: (json.dumps(config, indent=2, sort_keys=True, allow_nan=False) + "\n").encode(),
        TENSORS: save(plain),
        **(files or {}),
    }
    with replacing(folder) as aside:
        aside.mkdir()
        for name, content in contents.items():
            (aside / name).write_bytes(content)
        sums = "".join(f"{sha256(aside / name)}  {name}\n" for name in sorted(contents))
        (aside / SUMS).write_text(sums)


def read(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Configuration and tensors of a folder that `write` made. Raises UserError if anything in it has changed."""
    check(folder)
    return json.loads((folder / CONFIG).read_text()), tensors(folder / TENSORS)


def digest(folder: Path) -> str:
    """One digest for all that a folder of weights holds."""
    if not (folder / SUMS).is_file():
        raise UserError(f"{folder}: no weights there; `dvc repro` makes them")
    return sha256(folder / SUMS)


def check(folder: Path) -> None:
    """Raise UserError unless every file of a folder of weights has the sum that is written beside it."""
    digest(folder)
    sums = (folder / SUMS).read_bytes().decode(errors="replace")
    listed = {Path(line.partition("  ")[2]).name for line in sums.splitlines()}
    for name in sorted({CONFIG, TENSORS, *listed}):  # sums that leave these two out would vouch for nothing
        path = folder / name
        if not path.is_file() or f"{sha256(path)}  {name}\n" not in sums:
            raise UserError(f"{path}: missing or changed since it was written; delete {folder} and run `dvc repro`")


def released(source: Path) -> tuple[Path, Path]:
    """config.json and the tensors in a folder as the Hugging Face hub has it. Raises UserError if not there.

    The tensors are model.safetensors, or pytorch_model.bin where a release is too old to have it.
    """
    config, tensors = source / "config.json", source / "model.safetensors"
    if not tensors.is_file() and (source / OLD).is_file():
        tensors = source / OLD
    for path in (config, tensors):
        if not path.is_file():
            raise UserError(f"{path}: not found; a folder with config.json and model.safetensors is expected")
    try:
        known = isinstance(json.loads(config.read_text("utf-8")), dict)
    except ValueError:  # no JSON, or no UTF-8
        known = False
    if not known:
        raise UserError(f"{config}: no configuration, which is a JSON object; fetch it again")
    return config, tensors


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file, or of an official .pth / .pt / .bin file, which is never unpickled freely."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except Exception as error:  # damage makes torch raise whatever its parts do: KeyError, OSError, RuntimeError
        if type(error).__name__ == "UnpicklingError":  # for damage and for code alike
            raise UserError(f"{path}: it holds more than tensors, or is damaged; it is not opened") from error
        raise UserError(f"{path}: no readable weights ({type(error).__name__}); fetch it again") from error
    named = isinstance(loaded, dict) and all(isinstance(name, str) for name in loaded)
    if not named or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UserError(f"{path}: a mapping of names to tensors is expected")
    return loaded


def fill(network_class: type, config, state: dict[str, torch.Tensor], where: Path) -> torch.nn.Module:
    """A transformers network of this configuration with these tensors, in fp32 and eval mode.

    Goes through transformers' own loader, so that tied tensors and renamed keys are its business; no tensor may be
    missing (those of other networks that share an official file may be left over). Raises UserError otherwise.
    """
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # no table of what is left over; what is missing is told below
    try:
        network, info = network_class.from_pretrained(
            None,
            config=config,
            state_dict=state,
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation="sdpa",  # fused, whatever a released config.json says
            ignore_mismatched_sizes=True,  # transformers' own complaint does not name them
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{where}: its tensors do not fit its config.json: {error}") from error
    for name, *shapes in sorted(info["mismatched_keys"]):
        given, wanted = (tuple(shape) for shape in shapes)
        raise UserError(f"{where}: its tensors do not fit its config.json: {name} is {given} in place of {wanted}")
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(f"{where}: {len(missing)} tensors of {network_class.__name__} are missing, such as {missing[0]}")
    return network.eval()


def without(tensors: dict[str, torch.Tensor], beginning: str) -> dict[str, torch.Tensor]:
    """The tensors with `beginning` taken off their names."""
    return {name.removeprefix(beginning): tensor for name, tensor in tensors.items()}
