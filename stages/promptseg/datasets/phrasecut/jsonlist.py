"""Streaming parser for large JSON files that hold one list of objects.

Parsed at once, 400 MB of annotations become gigabytes of Python lists; here, a few megabytes of text and one entry are
in memory at a time.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from promptseg.core.errors import UserError

MAX_ENTRY = 4_000_000  # characters; so much text is buffered, so that every entry is complete
_SPACE = re.compile(r"[ \t\n\r]*")


def entries(path: Path) -> Iterator[dict]:
    """Yield the objects of the list in a UTF-8 file.

    Args:
        path: of the file.

    Yields:
        Each object, in order.

    Raises:
        UserError: the file is missing, not UTF-8, not exactly one list of objects, truncated, contains NaN or Infinity
            (which Python's parser accepts, but JSON does not), or an entry exceeds MAX_ENTRY characters; the message
            names the file and the entry.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8") as file:
            yield from _entries(file, path)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: not found, or not a file; download it again") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged (not UTF-8: {error.reason}); download it again") from None


def integer(entry: dict, key: str, low: int, high: int) -> int:
    """Get an integer from an entry.

    Args:
        entry: a JSON object.
        key: of the integer.
        low: smallest valid value.
        high: largest valid value.

    Raises:
        ValueError: the value is missing or invalid; the message shows it.
    """
    value = entry.get(key)
    if type(value) is not int or not low <= value <= high:  # not isinstance: True is an int
        raise ValueError(f"{key} is {shown(value)}, not an integer from {low} to {high}")
    return value


def shown(value: object) -> str:
    """Format any value in at most 40 printable characters, for error messages."""
    text = "missing" if value is None else ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _entries(file: TextIO, path: Path) -> Iterator[dict]:
    """Parse entries from a buffer that always holds a complete one."""
    decoder = json.JSONDecoder(parse_constant=_reject)
    text, at, count, ended = "", 0, 0, False
    while True:
        while not ended and len(text) - at < MAX_ENTRY + 2:  # 2: the delimiters before and after it
            chunk = file.read(MAX_ENTRY)
            text, at, ended = text[at:] + chunk, 0, not chunk
            at = _skip_space(text, 0)
        delimiter, at = text[at : at + 1], _skip_space(text, at + 1)
        if not count and delimiter == "[" and text[at : at + 1] == "]":
            delimiter, at = "]", at + 1
        if delimiter == "]":
            if text[at:].strip() or file.read(1):
                raise UserError(f"{path}: unexpected text after the list of {count} entries; download it again")
            return
        if delimiter != ("," if count else "["):
            what = f"truncated or damaged after entry {count}" if count else "does not begin with a list"
            raise UserError(f"{path}: {what}; download it again")
        count += 1
        try:
            entry, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
            raise UserError(f"{path}: entry {count} is truncated or damaged ({reason}); download it again") from None
        if not isinstance(entry, dict):
            raise UserError(f"{path}: entry {count} is {shown(entry)}, not an object; download it again")
        yield entry
        at = _skip_space(text, at)


def _skip_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string


def _reject(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's parser would accept."""
    raise ValueError(f"{constant} is not a number")
