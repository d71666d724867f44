"""The exception for bad input."""


class UserError(Exception):
    """Bad input that the user can fix; the message is one line that names the file or key and says what to do.

    `stage.run` prints it without a traceback and exits with code 1. Any other exception is a bug of promptseg and keeps
    its traceback, apart from what `stage.guarded` lists.
    """
