"""Stage entry point: signals, user-facing errors, offline mode, instructions that are the same on all processors."""

import ctypes
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable

from promptseg.core import portable
from promptseg.core.errors import DISK_FULL, REFUSED, NotEnoughMemoryError, UserError, memory_refused

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What a user can remedy where the error names the file: a wrong path, missing rights, a full or read-only disk.
_REMEDIABLE = REFUSED | {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG}
# What is named where the error names no file; without an entry it is a bug.
_UNNAMED = (
    dict.fromkeys(DISK_FULL, "output")
    | dict.fromkeys((errno.EMFILE, errno.ENFILE), "ulimit -n")
    | {errno.ENOMEM: "memory"}
)


def run(main: Callable, *, network: bool = False) -> None:
    """Run `main` as a Typer command.

    Args:
        main: the stage; its heavy imports belong inside it, so that they happen after the signals are set up.
        network: True for `download` and `checkpoint` alone; in all other stages the hub libraries stay offline.
    """
    _die_with_parent()
    # Importing torch and transformers makes a million objects and no garbage: 25 % of the time went to collections.
    gc.set_threshold(1_000_000, 20, 100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwind, so that temporary files are removed
    if not network:
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    if portable.wanted():
        portable.hold()
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    guarded(app)


def guarded(app: Callable) -> None:
    """Call `app` and end with one line on stderr and exit code 1 for errors that the user can fix.

    These are UserError, an OSError with a file name and an error number that a user can remedy (no such file, no
    permission, ...), a full disk or too many open files, with or without a file name, and too little memory. Everything
    else propagates with its traceback.
    """
    try:
        app()
    except UserError as error:
        _exit(str(error))
    except OSError as error:
        if not (error.errno in _UNNAMED or error.filename and error.errno in _REMEDIABLE):
            raise
        _exit(f"{error.filename or _UNNAMED[error.errno]}: {error.strerror or os.strerror(error.errno)}")
    except NotEnoughMemoryError as error:
        _exit(str(error))
    except (MemoryError, RuntimeError) as error:
        if not memory_refused(error):
            raise
        _exit(str(NotEnoughMemoryError("memory", error)))


def _exit(message: str) -> None:
    print("error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(1)


def _die_with_parent() -> None:
    """End with the parent: a killed `dvc repro` would leave its stage running, beside that of the next one."""
    parent = os.getppid()
    tied_to_parent()
    if os.getppid() != parent:  # it ended before the death signal was set
        sys.exit(1)


def tied_to_parent() -> None:
    """Let the kernel kill this process when its parent ends (Linux only; elsewhere nothing happens)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
