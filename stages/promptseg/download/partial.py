"""Partial downloads in the user's cache, which survive the process."""

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
    """Return the folder for partial downloads: PROMPTSEG_CACHE, or the system's folder for caches."""
    folder = os.environ.get("PROMPTSEG_CACHE")
    return Path(folder).expanduser() if folder else Path(pooch.os_cache("promptseg"))


class Partial:
    """The bytes of one address received so far, and the version of the file that they are from.

    Two files in the cache, named by a digest of the address, which may hold a password and is not stored: .part with
    the bytes, .json with the version (ETag, Last-Modified, length). Bytes of two versions are never joined: a download
    is resumed only where the version in the response is that of the bytes.

    Attributes:
        path: file with the bytes.
    """

    def __init__(self, stem: Path):
        self.path, self._version_path = stem.with_suffix(".part"), stem.with_suffix(".json")
        self._version = self._read()
        if not self._version:
            self.remove()

    @property
    def size(self) -> int:
        """Number of bytes received."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def total(self) -> int | None:
        """Length of the complete file in bytes; None where the server did not say."""
        return self._version.get("total")

    @property
    def complete(self) -> bool:
        """Whether all bytes are received."""
        return self.path.exists() and self.size == self.total

    def has_version(self) -> bool:
        """Whether a change of the file at the server would be noticed before a resumed download."""
        return bool(self._version.get("etag") or self._version.get("modified"))

    def headers(self) -> dict[str, str]:
        """Headers of the request: for the rest, if the file is still the same; none for a new download."""
        if not self.size:
            return {}
        # RFC 9110, 13.1.5 forbids a weak ETag here; it is compared with that of the response instead.
        etag = self._version.get("etag") or ""
        validator = etag if etag.startswith('"') else self._version.get("modified") if not etag else None
        return {"Range": f"bytes={self.size}-", **({"If-Range": validator} if validator else {})}

    def accept(self, response: requests.Response) -> bool:
        """Prepare for the body of a 200 or 206 response.

        Returns:
            False where it does not continue the bytes received so far; these are removed, and the request has to be
            repeated.
        """
        if response.status_code == 200:
            self.remove()
            self._version = _version(response, _length(response))
            write_json(self._version_path, self._version)
            self.path.touch()
            return True
        start, total = _range(response)
        if self.size and start == self.size and _version(response, total) == self._version:
            return True
        self.remove()
        return False

    def remove(self) -> None:
        """Remove the bytes and their version."""
        self.path.unlink(missing_ok=True)
        self._version_path.unlink(missing_ok=True)
        self._version = {}

    def _read(self) -> dict:
        try:
            version = json.loads(self._version_path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return version if isinstance(version, dict) and self.path.exists() else {}


@contextmanager
def held(address: str) -> Iterator[Partial]:
    """Lock the partial download of an address against other processes; a second one waits.

    Raises UserError where the cache cannot be written.
    """
    folder = cache()
    stem = folder / hashlib.sha256(address.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(stem.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print("note: another process is downloading this file; waiting for it", file=sys.stderr)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{folder}: downloads cannot be cached here ({reason}); set PROMPTSEG_CACHE to a folder that you can write"
        ) from None
    try:
        yield Partial(stem)
    finally:
        lock.release()


def _length(response: requests.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()  # then the length is not meaningful
    return int(text) if text.isdecimal() and not chunked else None


def _range(response: requests.Response) -> tuple[int, int | None]:
    """First byte of a 206 response, and the length of the complete file."""
    match = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not match:
        return -1, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _version(response: requests.Response, total: int | None) -> dict:
    return {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified"), "total": total}
