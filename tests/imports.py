"""Which files of ours a stage can reach by its imports, top-level and inside functions alike."""

import ast
from pathlib import Path

STAGES = Path(__file__).parent.parent / "stages"
PACKAGE = STAGES / "promptseg"


def reached(start: Path) -> set[Path]:
    """`start` and every module of promptseg that it imports, directly or through others.

    Packages loaded by name (datasets, models) are left to the caller: their modules are chosen by params.yaml.
    """
    seen, waiting = set(), [start]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imported(path)
    return seen - {PACKAGE / "__init__.py"}


def _imported(path: Path) -> list[Path]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "promptseg":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [_file(node.module), *map(_file, names)]
        elif isinstance(node, ast.Import):
            found += [_file(alias.name) for alias in node.names if alias.name.split(".")[0] == "promptseg"]
    return [path for path in found if path is not None]


def _file(module: str) -> Path | None:
    path = STAGES.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None
