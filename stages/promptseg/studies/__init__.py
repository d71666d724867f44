"""Studies that are shipped, each a params.yaml: `promptseg init --study NAME` brings one back."""

from pathlib import Path

from promptseg.core.errors import UserError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """List the names of all shipped studies, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """Return a shipped study, the text of its params.yaml. Raises UserError where there is none of that name."""
    if name not in names():
        raise UserError(f"--study {name}: no such study; known: {', '.join(names())}")
    return (FOLDER / f"{name}.yaml").read_text("utf-8")
