"""Models, one module each; a new module in this package is a new model.

A model's module defines one subclass of Segmenter and
    create(size, seed)       a Segmenter with seeded random weights; size: "tiny", or "full" as released
    convert(source)          a Segmenter from released files: a folder in the layout of the hub, or a single file
    load(folder, classes)    a Segmenter from one of our own checkpoints
and, where they apply,
    OFFICIAL                 (repository, commit) of the released weights on the Hugging Face hub
    RELEASED                 name of the released file of tensors, where that is not model.safetensors
    BACKBONE                 folder in promptseg/tiny that the tiny model is built from, by convert(folder, "tiny"),
                             where it has no checkpoint of its own there
It does not depend on any dataset.
"""

import importlib
import pkgutil
from types import ModuleType

from promptseg.core.errors import UserError
from promptseg.nn.segmenter import Segmenter


def names() -> list[str]:
    """Names of all models, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """Import the module of a model. Raises UserError if the name is unknown."""
    if name not in names():
        raise UserError(f"unknown model {name!r}; known: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")


def segmenter_class(name: str) -> type[Segmenter]:
    """The Segmenter subclass of a model. Raises UserError if the name is unknown."""
    module = load(name)
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Segmenter) and value.__module__ == module.__name__
    )
    return kind
