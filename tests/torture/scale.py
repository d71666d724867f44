"""How much of the torture is run: the environment variable TORTURE_SCALE, 1 for all of it."""

import os

SCALE = float(os.environ.get("TORTURE_SCALE", "1"))


def scaled(count: int) -> int:
    """A count, scaled; at least one."""
    return max(1, round(count * SCALE))
