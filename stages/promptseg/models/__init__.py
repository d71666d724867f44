"""The models, one file each. `load("sam")` gives its module; a new file in this folder is a new model.

A model's module has
    create(size, seed)       a Segmenter with seeded random weights; size: "tiny", or "full" as it was released
    convert(source)          a Segmenter from the released files: a folder, or a single file where there is such a thing
    load(folder, classes)    a Segmenter from one of our own checkpoint folders
    BACKBONE                the folder in promptseg/tiny that `convert` takes, where its tiny model has none of its own
    NETWORKS, assemble       in place of `convert`, where a model is made of other models: their names, and a Segmenter
                             from a list of theirs in that order
    RELEASED                 the released file of tensors, where the hub has not model.safetensors
and knows no dataset.
"""

import importlib
import pkgutil
from types import ModuleType

from promptseg.core.errors import UserError


def names() -> list[str]:
    """Every model that there is a file for."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of a model. Raises UserError if there is none of that name."""
    if name not in names():
        raise UserError(f"unknown model {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
