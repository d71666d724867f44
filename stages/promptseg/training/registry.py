"""Functions by name, registered where they are defined."""

from collections.abc import Callable
from typing import TypeVar

from promptseg.core.errors import UserError

F = TypeVar("F", bound=Callable)


class Registry(dict[str, Callable]):
    """Functions by the name that params.yaml uses.

    Args:
        key: key of params.yaml that holds such a name, such as `train.loss`; for messages.
    """

    def __init__(self, key: str):
        super().__init__()
        self._key = key

    def register(self, name: str) -> Callable[[F], F]:
        """Decorator that adds a function under this name."""

        def add(function: F) -> F:
            self[name] = function
            return function

        return add

    def find(self, name: str) -> Callable:
        """The function of that name. Raises UserError, listing the known names."""
        if name not in self:
            noun = self._key.rpartition(".")[2]
            raise UserError(f"params.yaml: {self._key}: unknown {noun} {name!r}; known: {', '.join(self)}")
        return self[name]
