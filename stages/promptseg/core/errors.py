"""The exception for bad input, and error numbers by which the system refuses to read or write a file."""

import errno
import os

# EFBIG: a limit on the size of files (`ulimit -f`).
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# They say nothing about the content of a file.
REFUSED = DISK_FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class UserError(Exception):
    """Bad input that the user can fix; the message is one line that names the file or key and says what to do.

    `stage.run` prints it without a traceback and exits with code 1. Any other exception is a bug of promptseg and keeps
    its traceback, apart from what `stage.guarded` lists.
    """


def of_system(error: Exception, path: object) -> UserError | None:
    """The refusal of the system to read a file, in words; None where the error is about the content of the file."""
    if isinstance(error, OSError) and error.errno in REFUSED:
        return UserError(f"{path}: cannot be read ({os.strerror(error.errno)})")
    return None
