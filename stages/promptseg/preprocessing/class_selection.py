"""Which of the classes that a reader knows count in a study, and under which names."""

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data.image_io import IGNORED

BACKGROUND = "background"


def select(
    known: tuple[str, ...], wanted: list[str] | dict[str, list[str]] | None, key: str
) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names of the classes that count, and a (256,) uint8 table from the reader's values to theirs; None: as it is.

    known: what 1, 2, ... mean to the reader. wanted: some of these names, or new names, each for one or more of them
    that become one class; None: all of them. What is not wanted becomes background (0), 255 stays ignored;
    `background` may be wanted too, as a class of its own. key: where `wanted` stands in params.yaml.
    Raises UserError for a name that the reader does not know, or that two classes claim.
    """
    if wanted is None:
        return known, None
    twice = [name for name in wanted if list(wanted).count(name) > 1]
    if twice:
        raise UserError(f"params.yaml: {key}: {twice[0]!r} stands there twice")
    merged = wanted if isinstance(wanted, dict) else {name: [name] for name in wanted}
    values = {BACKGROUND: 0, **{name: value for value, name in enumerate(known, 1)}}
    table = np.zeros(256, np.uint8)
    table[IGNORED] = IGNORED
    claimed: dict[str, str] = {}
    for number, (name, parts) in enumerate(merged.items(), 1):
        for part in parts:
            if part not in values:
                raise UserError(f"params.yaml: {key}: unknown class {part!r}; known: {', '.join(values)}")
            if part in claimed:
                raise UserError(f"params.yaml: {key}: {part!r} stands in {claimed[part]!r} and in {name!r}")
            claimed[part] = name
            table[values[part]] = number
    return tuple(merged), table
