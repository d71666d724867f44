"""Large JSON files that hold one list of objects, read entry by entry: annotations of hundreds of megabytes.

Parsed at once, a file of 400 MB becomes gigabytes of Python lists; here a few megabytes of text and one entry are held.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from promptseg.core.errors import UserError

LONGEST = 4_000_000  # characters that one entry may take; so much text is always at hand, so every entry is whole
_SPACE = re.compile(r"[ \t\n\r]*")


def entries(path: Path) -> Iterator[dict]:
    """Each object of the list in a UTF-8 file, in order. Raises UserError, which names the file and the entry.

    Refused: other things than one list of objects, text after it, a list that breaks off, NaN and Infinity (which
    Python's parser takes, but JSON does not know), entries of more than LONGEST characters.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8") as file:
            yield from _entries(file, path)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: not found, or no file; download it again") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged (no UTF-8: {error.reason}); download it again") from None


def integer(entry: dict, key: str, low: int, high: int) -> int:
    """The integer under `key`, from low to high. Raises ValueError saying what is there."""
    value = entry.get(key)
    if type(value) is not int or not low <= value <= high:  # True is an int, too
        raise ValueError(f"{key} is {shown(value)}, not an integer from {low} to {high}")
    return value


def shown(value: object) -> str:
    """A value of unknown kind and length in a few characters, on one line."""
    words = "missing" if value is None else ascii(value)
    return words if len(words) <= 40 else f"{words[:37]}..."


def _entries(file: TextIO, path: Path) -> Iterator[dict]:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    text, at, count, ended = "", 0, 0, False
    while True:
        while not ended and len(text) - at < LONGEST + 2:  # 2: the marks before and after it
            piece = file.read(LONGEST)
            text, at, ended = text[at:] + piece, 0, not piece
            at = _SPACE.match(text).end()
        mark, at = text[at : at + 1], _SPACE.match(text, at + 1).end()
        if not count and mark == "[" and text[at : at + 1] == "]":
            mark, at = "]", at + 1
        if mark == "]":
            if text[at:].strip() or file.read(1):
                raise UserError(f"{path}: more text stands after its list of {count} entries; download it again")
            return
        if mark != ("," if count else "["):
            what = f"it breaks off or is damaged after entry {count}" if count else "it does not begin with a list"
            raise UserError(f"{path}: {what}; download it again")
        count += 1
        try:
            entry, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
            raise UserError(f"{path}: entry {count} breaks off or is damaged ({reason}); download it again") from None
        if not isinstance(entry, dict):
            raise UserError(f"{path}: entry {count} is {shown(entry)}, where an object is expected; download it again")
        yield entry
        at = _SPACE.match(text, at).end()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
