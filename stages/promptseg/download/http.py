"""HTTP downloads: atomic, resumed after an interruption, with one line that says what to do on failure.

pooch's downloader cannot resume, and files of datasets have up to 11 GB: hence requests, with pooch's folder for
caches.
"""

import errno
import functools
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from promptseg.core import progress
from promptseg.core.errors import UserError
from promptseg.core.files import replacing
from promptseg.download.partial import Partial, cache, held

TIMEOUT = 60  # seconds without a byte
TRIES = 4  # in a row that receive less than STEP
STEP = 1 << 20  # bytes
WAIT = 1.0  # seconds before the second try, doubled before each further one
UNDECLARED = 4 << 30  # bytes at most from a server that declares no length
CHUNK = 1 << 16  # bytes that a broken connection loses at most
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_QUOTA = (b"Quota exceeded", b"Too many users have viewed or downloaded")


class _Transient(Exception):
    """A failure after which another try may succeed."""


def fetch(url: str, path: Path, *, md5: str | None = None, sha256: str | None = None, size: int | None = None) -> None:
    """Download a file, with a progress bar on a terminal.

    After an interruption the bytes stay in a cache (PROMPTSEG_CACHE, or the system's), and the next try, in this
    process or a later one, requests the rest: only of the same file, by the server's ETag or Last-Modified, or where a
    checksum is verified at the end. The environment variable PROMPTSEG_MIRROR (such as `http://127.0.0.1:8000`)
    replaces scheme and host of the address, for closed networks and for tests.

    Args:
        url: address of the file.
        path: where it is written; on failure an existing file is unchanged.
        md5: expected hex digest.
        sha256: expected hex digest.
        size: expected number of bytes; without a checksum, another size is only noted on stderr.

    Raises:
        UserError: the server cannot be reached, refuses, sends a web page instead of the file, less or more than it
            declared, or another file than the checksum says; or the disk is full. The message names the address.
    """
    address, path = mirrored(url), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(address) as partial:
        try:
            _complete(address, partial, path, size, has_checksum=bool(md5 or sha256))
            _check(address, partial, path, md5, sha256, size)
            with replacing(path) as aside:
                shutil.move(partial.path, aside)
        except OSError as error:
            if error.errno in _FULL:
                where = error.filename2 or error.filename or partial.path
                raise _disk_full(address, f"writing {where} failed: {error.strerror}") from None
            raise
        partial.remove()


def drive(id: str) -> str:
    """Return the download address of a public file on Google Drive, which skips the page about viruses."""
    return f"https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"


def _complete(address: str, partial: Partial, path: Path, size: int | None, has_checksum: bool) -> None:
    """Receive all bytes: as many tries as make progress, and a few that do not."""
    most = failures = 0
    while True:
        if not (partial.has_version() or has_checksum and partial.total):
            partial.remove()
        if partial.complete:
            return _check_space(address, partial, path)
        try:
            return _request(address, partial, path, size)
        except _Transient as failure:
            failures = 0 if partial.size >= most + STEP else failures + 1
            most = max(most, partial.size)
            if failures >= TRIES:
                raise _error(address, str(failure)) from None
            time.sleep(WAIT * 2 ** max(0, failures - 1))


def _request(address: str, partial: Partial, path: Path, size: int | None) -> None:
    """Request the missing bytes once. Raises _Transient where another try may succeed."""
    # identity: otherwise the declared length is not that of the file
    headers = {"Accept-Encoding": "identity", **partial.headers()}
    try:
        with requests.get(address, stream=True, timeout=TIMEOUT, headers=headers) as response:
            _check_response(address, response, headers)
            if response.status_code == 416 or not partial.accept(response):
                partial.remove()
                raise _Transient("the server sent the rest of another file")
            _check_space(address, partial, path)
            limit = partial.total if partial.total is not None else 2 * size if size else UNDECLARED
            _receive(address, partial, path, response.raw, limit)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _classified(address, partial, error) from None
    if partial.total is not None and partial.size < partial.total:  # urllib3 checks this itself from version 2 on
        raise _Transient(_truncated(partial))


def _check_response(address: str, response: requests.Response, headers: dict) -> None:
    """Raise UserError or _Transient unless the response may be the file, or the rest of it."""
    status = f"the server responds {response.status_code} {response.reason}"
    page = response.headers.get("Content-Type", "").startswith(("text/html", "application/xhtml"))
    start = response.raw.read(1 << 16) if page else b""
    if any(words in start for words in _QUOTA):
        raise _error(address, "the download quota of this file on Google Drive is used up for today")
    if response.status_code in (401, 403, 407):
        raise _error(address, f"{status}: login refused")
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _Transient(status)
    if response.status_code not in (200, 206) and not (response.status_code == 416 and "Range" in headers):
        raise _error(address, status)
    if page and response.status_code != 416:
        raise _error(address, "a web page came instead of the file")
    if address.startswith("https:") and not all(
        step.url.startswith("https:") for step in (*response.history, response)
    ):
        raise _error(address, "it redirects from https to an unprotected address")


def _receive(address: str, partial: Partial, path: Path, body: urllib3.HTTPResponse, limit: int) -> None:
    """Append the body to the partial file as it is received. Raises UserError for more than `limit` bytes."""
    received = partial.size
    bar = progress.bar(total=partial.total, initial=received, unit="B", unit_scale=True, desc=path.name)
    with bar, open(partial.path, "ab") as file:
        # Undecoded: some servers declare a .tar.gz as a .tar that they have compressed.
        for chunk in body.stream(CHUNK, decode_content=False):
            page = not received and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))
            received += len(chunk)
            if page or received > limit:
                partial.remove()
                more = f"more than the expected {limit:,} bytes came"
                raise _error(address, "a web page came instead of the file" if page else more)
            file.write(chunk)
            bar.update(len(chunk))


def _check(address: str, partial: Partial, path: Path, md5: str | None, sha256: str | None, size: int | None) -> None:
    for kind, expected in (("md5", md5), ("sha256", sha256)):
        if expected:
            with open(partial.path, "rb") as file:
                digest = hashlib.file_digest(
                    file, functools.partial(hashlib.new, kind, usedforsecurity=False)
                ).hexdigest()
            if digest != expected.lower():
                partial.remove()
                raise _error(address, f"the downloaded file has {kind} {digest} where {expected} is expected")
    if size is not None and partial.size != size and not (md5 or sha256):
        print(f"note: {path.name} has {partial.size:,} bytes where {size:,} are expected", file=sys.stderr)


def _check_space(address: str, partial: Partial, path: Path) -> None:
    """Raise UserError unless the rest fits into the cache, and the file beside `path` where that is another disk."""
    if partial.total is None:
        return
    needed = {partial.path.parent: partial.total - partial.size}
    if partial.path.parent.stat().st_dev != path.parent.stat().st_dev:
        needed[path.parent] = partial.total
    for folder, count in needed.items():
        free = shutil.disk_usage(folder).free
        if count > free:
            raise _disk_full(address, f"{count:,} more bytes are needed and {folder} has {free:,} free")


def mirrored(url: str) -> str:
    """Replace scheme and host of an address by those of PROMPTSEG_MIRROR, where it is set. Raises UserError."""
    mirror = os.environ.get("PROMPTSEG_MIRROR")
    if not mirror:
        return url
    base, address = urlsplit(mirror), urlsplit(url)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise UserError(f"PROMPTSEG_MIRROR: {_shown(mirror)!r} is not an address such as http://127.0.0.1:8000")
    return urlunsplit(address._replace(scheme=base.scheme, netloc=base.netloc))


def _classified(address: str, partial: Partial, error: Exception) -> UserError | _Transient:
    """The exception for a failure of the connection: _Transient where another try may succeed."""
    if isinstance(error, requests.TooManyRedirects):
        return _error(address, "it redirects in circles")
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
        return _error(address, "no secure connection (its certificate is invalid)")
    if isinstance(error, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return _Transient(f"no response within {TIMEOUT} seconds")
    if isinstance(error, urllib3.exceptions.HTTPError):
        return _Transient(_truncated(partial))
    if isinstance(error, requests.ConnectionError):
        inner = getattr(error.args[0] if error.args else None, "reason", None)
        never_connected = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        if isinstance(inner, never_connected) and not partial.size:
            return _error(address, "no connection")
        return _Transient("the connection broke off")
    return _error(address, f"the download failed ({type(error).__name__})")


def _truncated(partial: Partial) -> str:
    amount = (
        f"{partial.size:,} of {partial.total:,} bytes came" if partial.total is not None else "the connection broke off"
    )
    return f"truncated: {amount}"


def _disk_full(address: str, reason: str) -> UserError:
    return UserError(
        f"{_shown(address)}: disk full: {reason}; free some space, or set PROMPTSEG_CACHE (now {cache()}) to a "
        "folder on a larger disk; the bytes received so far stay there, and the next try resumes from them"
    )


def _error(address: str, reason: str) -> UserError:
    return UserError(
        f"{_shown(address)}: {reason}; try again, or download the files by hand and set datasets.<name>.raw in "
        "params.yaml to their folder"
    )


def _shown(address: str) -> str:
    """The address without the user and password that a mirror may have."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
