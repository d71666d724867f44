"""One way to show how far something is: a bar for whoever watches the terminal, and nothing in logs and pipes."""

import os
import sys

from tqdm import tqdm

WATCHED = "PROMPTSEG_WATCHED"  # where the output is a file whose last line somebody is shown: how many columns of it


def bar(items=None, *, main: bool = True, leave: bool = False, **settings) -> tqdm:
    """tqdm over the items, or to be updated by hand; its other settings are tqdm's. main: False for all processes of a
    torchrun but the first."""
    watched = int(os.environ.get(WATCHED) or 0)
    if watched:  # a file keeps every state of the bar
        settings |= {"mininterval": 1.0, "ascii": True, "ncols": watched}
    return tqdm(items, disable=not (main and (watched or sys.stderr.isatty())), leave=leave, **settings)
