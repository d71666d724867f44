"""The exception for bad input, and the error numbers of a full disk."""

import errno

# EFBIG: a limit on the size of files (`ulimit -f`).
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class UserError(Exception):
    """Bad input that the user can fix; the message is one line that names the file or key and says what to do.

    `stage.run` prints it without a traceback and exits with code 1. Any other exception is a bug of promptseg and keeps
    its traceback, apart from what `stage.guarded` lists.
    """
