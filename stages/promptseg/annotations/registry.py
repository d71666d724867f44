"""The annotation formats, found by listing the package, and which of them a file is of."""

import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

PACKAGE = __name__.rpartition(".")[0]


@functools.cache
def formats() -> tuple[ModuleType, ...]:
    """Import the modules of all formats: those of this package that have a function `read`, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{PACKAGE}.{name}") for name in names]
    return tuple(module for module in modules if hasattr(module, "read"))


def recognize(path: Path) -> ModuleType | None:
    """Find the format of a file by its content; None where it is of none, or cannot be read."""
    suffix = Path(path).suffix.lower()
    try:
        return next((each for each in formats() if suffix in each.SUFFIXES and each.matches(path)), None)
    except OSError:
        return None


def head(path: Path, size: int = 1 << 16) -> str:
    """Read the first bytes of a text file; what is not UTF-8 is replaced.

    Args:
        path: of the file.
        size: bytes at most.
    """
    with open(path, "rb") as file:
        return file.read(size).decode("utf-8-sig", errors="replace")
