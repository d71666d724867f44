"""Digests of the code that a stage reaches, for DVC's one code dependency and for the embedding cache.

A digest is over the syntax trees of all modules of promptseg that are reached by imports, at the top of a module and
inside functions alike, without comments, docstrings and layout. Files of a package that are not Python (a template,
shipped weights) belong to the package's `__init__`.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from promptseg.core.files import write_text

PACKAGE = Path(__file__).parent.parent
# Packages that import all of their modules by themselves.
DISCOVERED = ("promptseg.annotations", "promptseg.prompts")
# For each verb over datasets or models: the modules that it loads by name, with {} for the name.
LOADED = {
    "download": ("promptseg.datasets.{}.reader", "promptseg.datasets.{}.sample"),
    "preprocess": ("promptseg.datasets.{}.reader",),
    "checkpoint": ("promptseg.models.{}",),
    "zero_shot": ("promptseg.models.{}",),
    "cascade": ("promptseg.models.{}",),
    "finetune": ("promptseg.models.{}",),
    "predict": ("promptseg.models.{}",),
    "evaluate": (),
    "report": (),
}


def write_fingerprints(stages: Path, out: Path) -> None:
    """Write the digest of the code of each verb, for each dataset or model where it is over these.

    Args:
        stages: folder of the stages' scripts.
        out: folder; gets `<verb>` or `<verb>/<dataset or model>`.
    """
    for verb, modules in LOADED.items():
        script = stages / f"{verb}.py"
        if not modules:
            write_text(out / verb, digest(closure([script])) + "\n")
            continue
        for name in names(modules[0]):
            files = closure([script, *_files(module.format(name) for module in modules)])
            write_text(out / verb / name, digest(files) + "\n")


def names(pattern: str) -> list[str]:
    """What can stand for {} in the name of a module: `promptseg.models.{}` -> all models."""
    package, _, rest = pattern.partition(".{}")
    folder = PACKAGE.parent.joinpath(*package.split("."))
    if rest:
        return sorted(path.parent.name for path in folder.glob(f"*/{rest[1:]}.py"))
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def closure(starts: Iterable[Path]) -> set[Path]:
    """All files of promptseg that these files reach, themselves included.

    Modules that are loaded by name (datasets, models) are reached only where they are among `starts`.
    """
    reached: set[Path] = set()
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _imported(path) + _packages(path)
    data = [file for path in reached if path.name == "__init__.py" for file in _data_files(path.parent)]
    return reached | set(data)


def digest(files: Iterable[Path]) -> str:
    """Hex sha256 of the syntax trees of Python files and of the bytes of others, with their names."""
    lines = [f"{_name(path)} {_file_digest(path)}\n" for path in sorted(files, key=_name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def module_file(module: str) -> Path | None:
    """The file of a module or of a package's `__init__`; None where there is none, as for a function or a class."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def _files(names: Iterable[str]) -> list[Path]:
    """The files of those names that are modules."""
    return [file for name in names if (file := module_file(name))]


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix() if path.is_relative_to(PACKAGE.parent) else path.name


@functools.cache
def _imported(path: Path) -> list[Path]:
    if path.suffix != ".py":
        return []
    modules = [module for module in DISCOVERED if path == module_file(module)]
    found = [file for module in modules for file in sorted(path.parent.glob("*.py"))]
    for node in _nodes(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "promptseg":
            found += _files([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            found += _files(alias.name for alias in node.names if alias.name.split(".")[0] == "promptseg")
    return found


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _nodes(node)


def _packages(path: Path) -> list[Path]:
    """The `__init__` of all packages that a module lies in; Python runs them before it."""
    if not path.is_relative_to(PACKAGE):
        return []
    folders = [folder for folder in path.parents if folder == PACKAGE or PACKAGE in folder.parents]
    return [folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file()]


def _data_files(package: Path) -> list[Path]:
    """Files in and below a package that are not Python, down to packages of their own."""
    found = []
    for path in sorted(package.iterdir()):
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            found += _data_files(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc"):
            found.append(path)
    return found


@functools.cache
def _file_digest(path: Path) -> str:
    data = _serialize(_tree(path)).encode() if path.suffix == ".py" else path.read_bytes()
    return hashlib.sha256(data).hexdigest()


@functools.cache
def _tree(path: Path) -> ast.Module:
    """The syntax tree of a module without docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
                if isinstance(node.body[0].value.value, str):
                    node.body = node.body[1:]
    return tree


def _serialize(node: object) -> str:
    """A syntax tree as text, without empty fields, which differ between versions of Python."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return f"{type(node).__name__}({', '.join(f'{name}={_serialize(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_serialize, node))}]"
    return repr(node)
