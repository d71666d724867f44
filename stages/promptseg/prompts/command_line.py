"""Numbers as they are typed on the command line."""

import math
from collections.abc import Iterable

from promptseg.core.errors import UserError


def numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    """Parse `10,20.5` as (10.0, 20.5).

    Raises:
        UserError: these are not `count` finite numbers; the message names the option.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        raise UserError(f"{option} {text!r}: {count} numbers with commas between them are expected")
    return values


def as_text(values: Iterable[float]) -> str:
    """Format (10.0, 20.5) as `10,20.5`."""
    return ",".join(f"{value:g}" for value in values)
