"""What every stage does around its verb: dies with its parent, ends in one line, and stays offline."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

from promptseg.core import warm
from promptseg.core.errors import UserError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run(main: Callable, *, network: bool = False) -> None:
    """Run `main` as a Typer command. Heavy imports belong inside `main`: they wait until the process is tied.

    `network`: only `download` and `checkpoint` may reach for it; the hub libraries of all others are held offline.
    """
    _die_with_parent()
    if not network:
        warm.hand_over()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwind, so that temporary files are removed
    if not network:
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    import typer  # late, since a stage that is handed over does not need it

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    guarded(app)


def guarded(app: Callable) -> None:
    """Call `app`; a UserError, or what the system refuses, becomes one line on stderr and exit code 1."""
    try:
        app()
    except UserError as problem:
        _end(str(problem))
    except OSError as error:
        _end(f"{error.filename or 'input or output'}: {error.strerror or error}")


def _end(message: str) -> None:
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(1)


def _die_with_parent() -> None:
    """A killed `dvc repro` leaves its stage running, and the next one starts a second writer: tie the two."""
    parent = os.getppid()
    tied_to_parent()
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(1)


def tied_to_parent() -> None:
    """Let this process be killed when its parent ends (Linux alone knows how)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
