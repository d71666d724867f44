"""The exception for bad input, and how the system refuses files, memory and threads."""

import errno
import os

# EFBIG: a limit on the size of files (`ulimit -f`).
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# They say nothing about the content of a file.
REFUSED = DISK_FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_NOT_CONTENT = REFUSED | {errno.EIO, errno.EISDIR, errno.ESTALE}
NO_CODE = "could not create a primitive"  # all that oneDNN says where it gets no memory for the code of a layer
# Words of torch on a CPU and on a GPU, of C++, of oneDNN, of Python where a thread gets no stack.
_NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "memory object", "can't start new thread")


class UserError(Exception):
    """Bad input that the user can fix; the message is one line that names the file or key and says what to do.

    `stage.run` prints it without a traceback and exits with code 1. Any other exception is a bug of promptseg and keeps
    its traceback, apart from what `stage.guarded` lists.
    """


class NotEnoughMemoryError(Exception):
    """The system gave no more memory; the message is one line. No UserError, so that no file is taken for damaged."""

    def __init__(self, where: object, error: BaseException):
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        super().__init__(f"{where}: not enough memory ({reason:.120}); smaller images, tiles or batches take less")


def memory_refused(error: BaseException) -> bool:
    """Return whether the system gave no more memory, whatever library says so."""
    if isinstance(error, RuntimeError):
        return str(error) == NO_CODE or any(words in str(error) for words in _NO_MEMORY)
    return isinstance(error, (MemoryError, NotEnoughMemoryError)) or getattr(error, "errno", None) == errno.ENOMEM


def of_system(error: Exception, path: object) -> Exception | None:
    """The refusal of the system to read a file, in words; None where the error is about the content of the file."""
    if memory_refused(error):
        return error if isinstance(error, NotEnoughMemoryError) else NotEnoughMemoryError(path, error)
    if isinstance(error, OSError) and error.errno in _NOT_CONTENT:
        return UserError(f"{path}: cannot be read ({os.strerror(error.errno)})")
    return None
