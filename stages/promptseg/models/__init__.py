"""Models, one module each; a new module in this package is a new model.

A model's module defines one subclass of Segmenter, whose docstrings are the contract. It does not depend on any
dataset.
"""

import importlib
import pkgutil

from promptseg.core.errors import UserError
from promptseg.nn.segmenter import Segmenter


def names() -> list[str]:
    """Names of all models, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> type[Segmenter]:
    """Import the Segmenter subclass of a model. Raises UserError if the name is unknown."""
    if name not in names():
        raise UserError(f"unknown model {name!r}; known: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Segmenter) and value.__module__ == module.__name__
    )
    return kind
