"""Streaming parser for large JSON files: one object of long lists, as COCO's, or one list of objects.

Parsed at once, 1 GB of annotations become 10 GB of Python lists; here, some megabytes of text and one element are in
memory at a time.
"""

import contextlib
import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from promptseg.core.errors import UserError

CHUNK = 4_000_000  # characters read at a time
MAX_VALUE = 400_000_000  # characters of one value that is parsed at once
_SPACE = re.compile(r"[ \t\n\r]*")
_DELIMITERS = set(" \t\n\r,:]}")  # what may follow a value
_BEGINNING = "at its beginning"


def members(path: Path, streamed: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield the members of the object in a UTF-8 file.

    Args:
        path: of the file.
        streamed: keys of lists, whose elements are yielded one by one.

    Yields:
        Key and value, or the key of a streamed list and one of its elements, in the order of the file.

    Raises:
        UserError: the file is missing, not UTF-8, not one object, truncated or damaged; it names the file and the key.
    """
    with _opened(path) as buffer:
        yield from _members(buffer, streamed)


def entries(path: Path) -> Iterator[dict]:
    """Yield the objects of the list in a UTF-8 file.

    Args:
        path: of the file.

    Yields:
        Each object, in order.

    Raises:
        UserError: the file is missing, not UTF-8, not one list of objects, truncated or damaged, or holds NaN or
            infinity, which Python's parser accepts, but JSON does not; it names the file and the entry.
    """
    with _opened(path, _reject) as buffer:
        for number, entry in _elements(buffer, ""):
            if not isinstance(entry, dict):
                raise UserError(
                    f"{path}: element {number} is {entry!r:.40}, not an object; export or download it again"
                )
            yield entry
        buffer.end()


class _Damaged(Exception):
    """No JSON; the message says where."""


class _Constant(Exception):
    """NaN or infinity."""


def _reject(constant: str) -> NoReturn:
    raise _Constant(f"{constant} is not a number")


@contextlib.contextmanager
def _opened(path: Path, parse_constant: Callable[[str], Any] | None = None) -> Iterator["_Buffer"]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield _Buffer(file, json.JSONDecoder(parse_constant=parse_constant))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: not found, or not a file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged (not UTF-8: {error.reason}); export or download it again") from None
    except _Damaged as error:
        raise UserError(f"{path}: truncated or damaged {error}; export or download it again") from None


class _Buffer:
    """Text of a file, read on as it is needed."""

    def __init__(self, file: TextIO, decoder: json.JSONDecoder):
        self._file, self._text, self._at, self._ended, self._decoder = file, "", 0, False, decoder

    def next(self) -> str:
        """The next character that is no space, which is not consumed; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches ""
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def take(self, character: str, where: str) -> None:
        """Consume this character."""
        if self.next() != character:
            raise _Damaged(where)
        self._at += 1

    def value(self, where: str) -> Any:
        """Consume a value."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise _Damaged(f"{where} (nested too deeply)") from None
            except _Constant as error:
                raise _Damaged(f"{where} ({error})") from None
            except ValueError:
                pass
            else:
                if self._ended or self._text[end : end + 1] in _DELIMITERS:  # else a number might go on
                    self._at = end
                    return value
            if self._ended or len(self._text) - self._at > MAX_VALUE:
                raise _Damaged(where)
            self._read_on()

    def end(self) -> None:
        """Check that nothing is left."""
        if self.next():
            raise _Damaged("after its end")

    def _read_on(self) -> None:
        """Read as much as is left over, so that a long value is not parsed again and again."""
        rest = self._text[self._at :]
        chunk = self._file.read(max(CHUNK, len(rest)))
        self._text, self._at, self._ended = rest + chunk, 0, not chunk


def _members(buffer: _Buffer, streamed: Collection[str]) -> Iterator[tuple[str, Any]]:
    where = _BEGINNING
    buffer.take("{", where)
    while buffer.next() != "}":
        if where != _BEGINNING:
            buffer.take(",", where)
        key = buffer.value(where)
        if not isinstance(key, str):
            raise _Damaged(where)
        where = f"in {key!r}"
        buffer.take(":", where)
        if key in streamed and buffer.next() == "[":
            for _, value in _elements(buffer, f"{where}, "):
                yield key, value
        else:
            yield key, buffer.value(where)
    buffer.take("}", where)
    buffer.end()


def _elements(buffer: _Buffer, where: str) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each element of a list. where: what precedes `element 1` in messages."""
    buffer.take("[", where or _BEGINNING)
    count = 0
    while buffer.next() != "]":
        if count:
            buffer.take(",", f"{where}after element {count}")
        count += 1
        yield count, buffer.value(f"{where}element {count}")
    buffer.take("]", where)
