"""Run a script while the system lists folders backwards: python reversed_folders.py SCRIPT ARGUMENTS ..."""

import os
import runpy
import sys

_listdir, _scandir = os.listdir, os.scandir


class _Backwards:
    """The entries of a folder, as os.scandir gives them."""

    def __init__(self, *arguments):
        with _scandir(*arguments) as entries:
            self._entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

    def __iter__(self):
        return self._entries

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        pass


if __name__ == "__main__":
    os.listdir = lambda *arguments: sorted(_listdir(*arguments), reverse=True)
    os.scandir = _Backwards
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
