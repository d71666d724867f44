"""Progress bars: shown on a terminal, silent in logs and pipes."""

import os
import sys

from tqdm import tqdm

WATCHED = "PROMPTSEG_WATCHED"  # environment variable: width in columns, where a parent shows the output's last line


def bar(items=None, *, main: bool = True, leave: bool = False, **settings) -> tqdm:
    """Create a tqdm bar.

    Args:
        items: iterable to wrap, or None for a bar that is updated by hand.
        main: False for all processes of a torchrun but the first, which show none.
        leave: keep the bar on the screen after the last item.
        settings: further arguments of tqdm (`total`, `desc`, `unit`, ...).
    """
    columns = int(os.environ.get(WATCHED) or 0)
    if columns:  # the output is a file, which keeps every state of the bar: refresh rarely, in ASCII
        settings |= {"mininterval": 1.0, "ascii": True, "ncols": columns}
    return tqdm(items, disable=not (main and (columns or sys.stderr.isatty())), leave=leave, **settings)


def write(text: str) -> None:
    """Write lines to stderr, above the bars."""
    tqdm.write(text, file=sys.stderr)


def columns() -> int:
    """Return the width of the terminal that the bars are on."""
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals say 0
