"""What has come so far of a download, kept in the user's cache until it is whole, also when the process dies."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
import requests
from filelock import FileLock, Timeout

from promptseg.core.errors import UserError
from promptseg.core.files import write_json

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def cache() -> Path:
    """The folder for partial downloads: PROMPTSEG_CACHE, or the one that the system keeps for such things."""
    given = os.environ.get("PROMPTSEG_CACHE")
    return Path(given).expanduser() if given else Path(pooch.os_cache("promptseg"))


class Partial:
    """The bytes of one address that are here, and the marks of the file at the server that they are from.

    Files in the cache, named by a digest of the address (which may hold a password and stands nowhere): .part with
    the bytes, .json with the marks (ETag, Last-Modified, length). Bytes of two versions of a file are never joined: we
    go on only where the marks of the answer are those of the bytes.
    """

    def __init__(self, stem: Path):
        self.path, self._note = stem.with_suffix(".part"), stem.with_suffix(".json")
        self._marks = self._read()
        if not self._marks:
            self.remove()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def total(self) -> int | None:
        """The length of the whole file, where the server told."""
        return self._marks.get("total")

    @property
    def whole(self) -> bool:
        return self.path.exists() and self.size == self.total

    def tells_versions(self) -> bool:
        """True where a file that changed at the server would be noticed before its bytes are joined to ours."""
        return bool(self._marks.get("etag") or self._marks.get("modified"))

    def headers(self) -> dict[str, str]:
        """What to ask for: the rest, if the file is still the same; everything where nothing is here yet."""
        if not self.size:
            return {}
        # RFC 9110, 13.1.5: a weak ETag must not stand here; we compare it ourselves with that of the answer.
        etag = self._marks.get("etag") or ""
        same = etag if etag.startswith('"') else self._marks.get("modified") if not etag else None
        return {"Range": f"bytes={self.size}-", **({"If-Range": same} if same else {})}

    def accept(self, response: requests.Response) -> bool:
        """Make ready for the body of a 200 or 206; False where it does not go on from what is here.

        Then nothing is here any more, and the file has to be asked for anew.
        """
        if response.status_code == 200:
            self.remove()
            self._marks = _marks(response, _length(response))
            write_json(self._note, self._marks)
            self.path.touch()
            return True
        start, total = _range(response)
        if self.size and start == self.size and _marks(response, total) == self._marks:
            return True
        self.remove()
        return False

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._marks = {}

    def _read(self) -> dict:
        try:
            marks = json.loads(self._note.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return marks if isinstance(marks, dict) and self.path.exists() else {}


@contextmanager
def held(address: str) -> Iterator[Partial]:
    """The Partial of an address, held against other processes; who comes second waits. Raises UserError."""
    folder = cache()
    stem = folder / hashlib.sha256(address.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(stem.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print("note: another process is at this download; waiting for it", file=sys.stderr)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{folder}: no place for downloads ({reason}); set PROMPTSEG_CACHE to a folder of yours"
        ) from None
    try:
        yield Partial(stem)
    finally:
        lock.release()


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()  # then the length does not count
    return int(text) if text.isdecimal() and not chunked else None


def _range(response: requests.Response) -> tuple[int, int | None]:
    """Where the body of a 206 begins, and the length of the whole file."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not match:
        return -1, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _marks(response: requests.Response, total: int | None) -> dict:
    return {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified"), "total": total}
