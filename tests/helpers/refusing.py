"""How tests speak of a refusal, and of the content of a folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from promptseg.core.errors import UserError


def refused(call: Callable, *words: object) -> None:
    """`call` raises a UserError of one line that holds all these words."""
    with pytest.raises(UserError) as problem:
        call()
    message = str(problem.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, message


def digest(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
