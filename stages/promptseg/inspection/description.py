"""How a folder is read, as `describe` found out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptseg.inspection.groups import Groups


@dataclass(frozen=True)
class Description:
    """How a folder is read.

    Attributes:
        folder: of the user.
        name: of the dataset.
        entry: keys of its entry in params.yaml, without `raw`.
        classes: that the study may choose from.
        named: whether their names mean something.
        phrases: text prompts that the shipped study has for it.
        groups: that names suggest.
        evidence: (what, words) for each thing that was seen.
        problems: a line for each file that is missing or damaged.
    """

    folder: Path
    name: str
    entry: dict[str, Any]
    classes: tuple[str, ...]
    named: bool
    phrases: tuple[str, ...] = ()
    groups: Groups | None = None
    evidence: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def with_options(self, **options: Any) -> "Description":
        """The same folder, read with further options."""
        return replace(self, entry={**self.entry, "options": {**self.entry.get("options", {}), **options}})
