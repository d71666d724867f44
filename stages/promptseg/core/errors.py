"""The one kind of failure that a user is meant to see."""


class UserError(Exception):
    """Something the user can mend: its message is one line that names the file or key and says what to do.

    `stage.run` prints it without a traceback and exits with code 1. Anything else that escapes is a bug of ours
    and keeps its traceback.
    """
