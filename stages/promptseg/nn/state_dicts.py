"""State dicts as people save them: beside an optimizer, below a prefix of a wrapper, in shards.

Trainers write {"model": ..., "optimizer": ..., "epoch": ...}, Lightning {"state_dict": ...} with the attribute's name
before each tensor's, micro-sam {"model_state": ...} with `sam.`, DistributedDataParallel `module.`, torch.compile
`_orig_mod.`. What is taken and what is left out is said on stderr.
"""

import re
import sys
from pathlib import Path
from typing import Any

import torch

from promptseg.core.errors import UserError

# Keys under which trainers keep the weights; the first that is there counts.
KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
_WRAPPERS = ("module", "_orig_mod")


def unwrap(loaded: Any, path: Path, roots: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """Find the named tensors in what a checkpoint file holds.

    Args:
        loaded: content of the file.
        path: of the file, for messages.
        roots: first parts of some of the names, such as `image_encoder`: what stands before them is removed from all
            names, and tensors without it are left out. Empty: names are kept.

    Returns:
        Tensors by name. A line on stderr says what was taken, unless that is all, by its own names.

    Raises:
        UserError: there are no named tensors, or those of several models.
    """
    found, notes = _named_tensors(loaded, path)
    plain = {".".join(part for part in name.split(".") if part not in _WRAPPERS): name for name in found}
    if list(plain) != list(found.keys()):
        removed = [wrapper for wrapper in _WRAPPERS if any(wrapper in name.split(".") for name in found)]
        notes.append(f"names without {' and '.join(f'{each}.' for each in removed)}")
    prefix = _prefix(list(plain), roots, path)
    taken = {name.removeprefix(prefix): found[own] for name, own in plain.items() if name.startswith(prefix)}
    if prefix:
        notes.append(f"those below {prefix} ({len(taken):,} of {len(found):,})")
    if notes:
        print(f"note: {path}: taken: {', '.join(notes)}", file=sys.stderr)
    return taken


def _named_tensors(loaded: Any, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The mapping of names to tensors in a file, and a note on where it was."""
    if _is_state_dict(loaded):
        return loaded, []
    if isinstance(loaded, dict):
        for key in KEYS:
            if _is_state_dict(loaded.get(key)) and loaded[key]:
                others = ", ".join(str(other) for other in loaded if other != key)
                return loaded[key], [f"the tensors of {key!r}" + f" without {others}" * bool(others)]
    raise UserError(
        f"{path}: a mapping of names to tensors is expected; save it by torch.save(model.state_dict(), ...)"
    )


def _is_state_dict(value: Any) -> bool:
    named = isinstance(value, dict) and all(isinstance(name, str) for name in value)
    return named and all(isinstance(tensor, torch.Tensor) for tensor in value.values())


def _prefix(names: list[str], roots: tuple[str, ...], path: Path) -> str:
    """What stands before one of the roots in names, with its dot; empty where nothing does."""
    if not roots:
        return ""
    pattern = re.compile(rf"(?:(.*?)\.)?(?:{'|'.join(map(re.escape, roots))})\.")
    found = sorted({match[1] or "" for name in names if (match := pattern.match(name))})
    if not found or "" in found:
        return ""
    if len(found) > 1:
        raise UserError(f"{path}: it holds several models ({', '.join(found)}); save the tensors of one of them alone")
    return f"{found[0]}."
