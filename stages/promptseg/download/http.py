"""Download a file over HTTP: whole or not at all, resumed where it broke off, and in one line what to do when it fails.

pooch's downloader cannot resume, and the files here are up to 11 GB: so requests, with what pooch has for the cache.
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
TRIES = 4  # in a row that bring less than STEP
STEP = 1 << 20  # bytes
WAIT = 1.0  # seconds before the second try, twice as many before each further one
UNANNOUNCED = 4 << 30  # bytes at most from a server that announces no length
CHUNK = 1 << 16  # what a broken connection loses at most
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_QUOTA = (b"Quota exceeded", b"Too many users have viewed or downloaded")


class _Broken(Exception):
    """A try that failed in a way that may pass."""


def fetch(url: str, path: Path, *, md5: str | None = None, sha256: str | None = None, size: int | None = None) -> None:
    """Download `url` to `path`; a progress bar is shown on a terminal.

    What has come when it breaks off is kept in a cache (PROMPTSEG_CACHE, or the system's) and the next try, in this
    process or a later one, asks for the rest: of the same file only, by the server's ETag or Last-Modified, or where a
    checksum tells at the end. md5, sha256: hex digests that the whole file must have. size: bytes that are listed
    somewhere; without a checksum, another size is only noted on stderr.

    The environment variable PROMPTSEG_MIRROR (such as `http://127.0.0.1:8000`) replaces scheme and host of the
    address: for closed networks, and for tests. Raises UserError, which names the address, when the server is out of
    reach, refuses, sends a web page in place of the file, less or more than it announced or another file than the
    checksum says; and when there is no room on the disk. `path` is then as it was.
    """
    address, path = mirrored(url), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(address) as partial:
        try:
            _complete(address, partial, path, size, trusting=bool(md5 or sha256))
            _check(address, partial, path, md5, sha256, size)
            with replacing(path) as aside:
                shutil.move(partial.path, aside)
        except OSError as error:
            if error.errno in _FULL:
                where = error.filename2 or error.filename or partial.path
                raise _no_room(address, f"writing {where} failed: {error.strerror}") from None
            raise
        partial.remove()


def drive(id: str) -> str:
    """The address of a public file on Google Drive, past its page about viruses."""
    return f"https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"


def _complete(address: str, partial: Partial, path: Path, size: int | None, trusting: bool) -> None:
    """Bring all bytes into `partial`: as many tries as bring something, and a few that do not."""
    furthest = fruitless = 0
    while True:
        if not (partial.tells_versions() or trusting and partial.total):
            partial.remove()
        if partial.whole:
            return _room(address, partial, path)
        try:
            return _go_on(address, partial, path, size)
        except _Broken as broken:
            fruitless = 0 if partial.size >= furthest + STEP else fruitless + 1
            furthest = max(furthest, partial.size)
            if fruitless >= TRIES:
                raise _problem(address, str(broken)) from None
            time.sleep(WAIT * 2 ** max(0, fruitless - 1))


def _go_on(address: str, partial: Partial, path: Path, size: int | None) -> None:
    """One request for what is still missing. Raises _Broken where asking again may help."""
    # identity: else the announced length is not that of the file
    headers = {"Accept-Encoding": "identity", **partial.headers()}
    try:
        with requests.get(address, stream=True, timeout=TIMEOUT, headers=headers) as response:
            _refuse(address, response, headers)
            if response.status_code == 416 or not partial.accept(response):
                partial.remove()
                raise _Broken("the server gives the rest of another file")
            _room(address, partial, path)
            limit = partial.total if partial.total is not None else 2 * size if size else UNANNOUNCED
            _keep(address, partial, path, response.raw, limit)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _reason(address, partial, error) from None
    if partial.total is not None and partial.size < partial.total:  # urllib3 checks this itself from version 2 on
        raise _Broken(_cut(partial))


def _refuse(address: str, response: requests.Response, headers: dict) -> None:
    """Raise UserError or _Broken unless the answer may be the file, or the rest of it."""
    status = f"the server answers {response.status_code} {response.reason}"
    page = response.headers.get("Content-Type", "").startswith(("text/html", "application/xhtml"))
    start = response.raw.read(1 << 16) if page else b""
    if any(words in start for words in _QUOTA):
        raise _problem(address, "Google Drive has handed this file out too often for today (its quota is used up)")
    if response.status_code in (401, 403, 407):
        raise _problem(address, f"{status}: login refused")
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _Broken(status)
    if response.status_code not in (200, 206) and not (response.status_code == 416 and "Range" in headers):
        raise _problem(address, status)
    if page and response.status_code != 416:
        raise _problem(address, "a web page came in place of the file")
    if address.startswith("https:") and not all(
        step.url.startswith("https:") for step in (*response.history, response)
    ):
        raise _problem(address, "it leads from https to an address that anybody on the way could change")


def _keep(address: str, partial: Partial, path: Path, body: urllib3.HTTPResponse, limit: int) -> None:
    """Append the body to the partial file, as it comes; what is more than `limit` bytes is no file of that address."""
    here = partial.size
    bar = progress.bar(total=partial.total, initial=here, unit="B", unit_scale=True, desc=path.name)
    with bar, open(partial.path, "ab") as file:
        # Undecoded: some servers announce a .tar.gz as a .tar that they have packed.
        for chunk in body.stream(CHUNK, decode_content=False):
            page = not here and chunk.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))
            here += len(chunk)
            if page or here > limit:
                partial.remove()
                more = f"more than the {limit:,} bytes came that there should be"
                raise _problem(address, "a web page came in place of the file" if page else more)
            file.write(chunk)
            bar.update(len(chunk))


def _check(address: str, partial: Partial, path: Path, md5: str | None, sha256: str | None, size: int | None) -> None:
    for kind, wanted in (("md5", md5), ("sha256", sha256)):
        if wanted:
            with open(partial.path, "rb") as file:
                found = hashlib.file_digest(
                    file, functools.partial(hashlib.new, kind, usedforsecurity=False)
                ).hexdigest()
            if found != wanted.lower():
                partial.remove()
                raise _problem(address, f"the file that came has {kind} {found} where {wanted} is expected")
    if size is not None and partial.size != size and not (md5 or sha256):
        print(f"note: {path.name} has {partial.size:,} bytes where {size:,} are listed", file=sys.stderr)


def _room(address: str, partial: Partial, path: Path) -> None:
    """Raise UserError unless the rest fits into the cache, and the whole beside `path` where that is another disk."""
    if partial.total is None:
        return
    needed = {partial.path.parent: partial.total - partial.size}
    if partial.path.parent.stat().st_dev != path.parent.stat().st_dev:
        needed[path.parent] = partial.total
    for folder, count in needed.items():
        free = shutil.disk_usage(folder).free
        if count > free:
            raise _no_room(address, f"{count:,} bytes are to come and {folder} has room for {free:,}")


def mirrored(url: str) -> str:
    mirror = os.environ.get("PROMPTSEG_MIRROR")
    if not mirror:
        return url
    there, wanted = urlsplit(mirror), urlsplit(url)
    if there.scheme not in ("http", "https") or not there.netloc:
        raise UserError(f"PROMPTSEG_MIRROR: {_shown(mirror)!r} is no address such as http://127.0.0.1:8000")
    return urlunsplit(wanted._replace(scheme=there.scheme, netloc=there.netloc))


def _reason(address: str, partial: Partial, error: Exception) -> UserError | _Broken:
    """What to raise for a failure of the connection: _Broken where asking again may help."""
    if isinstance(error, requests.TooManyRedirects):
        return _problem(address, "it is redirected in circles")
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
        return _problem(address, "no secure connection (its certificate is not accepted)")
    if isinstance(error, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        return _Broken(f"no answer within {TIMEOUT} seconds")
    if isinstance(error, urllib3.exceptions.HTTPError):
        return _Broken(_cut(partial))
    if isinstance(error, requests.ConnectionError):
        inner = getattr(error.args[0] if error.args else None, "reason", None)
        met = not isinstance(inner, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))
        return _Broken("the connection broke off") if met or partial.size else _problem(address, "no connection")
    return _problem(address, f"the download failed ({type(error).__name__})")


def _cut(partial: Partial) -> str:
    came = (
        f"{partial.size:,} of {partial.total:,} bytes came" if partial.total is not None else "the connection broke off"
    )
    return f"cut short: {came}"


def _no_room(address: str, reason: str) -> UserError:
    return UserError(
        f"{_shown(address)}: no room: {reason}; free some, or set PROMPTSEG_CACHE (now {cache()}) to a folder on a "
        "larger disk; what has come is kept there, and the next try goes on from it"
    )


def _problem(address: str, reason: str) -> UserError:
    return UserError(
        f"{_shown(address)}: {reason}; try again, or download it by hand and give its folder in params.yaml "
        "as datasets.<name>.source"
    )


def _shown(address: str) -> str:
    """The address without the user and password that a mirror's may hold."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
