"""Where the code is, and which files of it a module reaches by its imports."""

from pathlib import Path

from promptseg.core.fingerprint import PACKAGE, closure

STAGES = PACKAGE.parent
__all__ = ["PACKAGE", "STAGES", "reached"]


def reached(start: Path) -> set[Path]:
    """`start` and every module of promptseg that it imports, directly or through others."""
    return {path for path in closure([start]) if path.suffix == ".py"} - {PACKAGE / "__init__.py"}
