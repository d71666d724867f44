"""Selection, merging and renaming of a reader's classes."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.params import BACKGROUND
from promptseg.data.image_io import IGNORED

NONE: Mapping[str, str] = MappingProxyType({})


def select(
    known: tuple[str, ...],
    wanted: list[str] | dict[str, list[str]] | None,
    key: str,
    contained_in: Mapping[str, str] = NONE,
) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Select the classes of a study.

    A class that lies inside a selected one belongs to it, unless it is selected itself. All other classes become
    background (0), and 255 stays ignored. `background` may be selected as a class of its own.

    Args:
        known: names of the values 1, 2, ... in the reader's masks.
        wanted: names among `known`, or new names, each for one or more of `known` that are merged; None: all.
        key: of `wanted` in params.yaml, for messages.
        contained_in: {inner class: outer class} of `known`.

    Returns:
        classes: names of the selected classes.
        table: (256,) uint8, from the reader's values to those of `classes`; None: unchanged.

    Raises:
        UserError: the reader does not know a name, or a name is selected twice.
    """
    if wanted is None:
        return known, None
    repeated = [name for name in wanted if list(wanted).count(name) > 1]
    if repeated:
        raise UserError(f"params.yaml: {key}: {repeated[0]!r} is listed twice")
    merged = wanted if isinstance(wanted, dict) else {name: [name] for name in wanted}
    values = {BACKGROUND: 0, **{name: value for value, name in enumerate(known, 1)}}
    table = np.zeros(256, np.uint8)
    table[IGNORED] = IGNORED
    owners: dict[str, str] = {}
    for number, (name, sources) in enumerate(merged.items(), 1):
        for source in sources:
            if source not in values:
                raise UserError(f"params.yaml: {key}: unknown class {source!r}; known: {', '.join(values)}")
            if source in owners:
                raise UserError(f"params.yaml: {key}: {source!r} is listed in {owners[source]!r} and in {name!r}")
            owners[source] = name
            table[values[source]] = number
    for inner in contained_in:
        outer = inner
        for _ in contained_in:  # to the nearest selected class around it
            outer = outer if outer in owners else contained_in.get(outer, outer)
        if outer in owners:
            table[values[inner]] = table[values[outer]]
    return tuple(merged), table
