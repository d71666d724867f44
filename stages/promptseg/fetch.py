"""Download a file over HTTP: whole or not at all, and in one line what to do when it fails."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pooch
import requests

from promptseg.errors import Problem
from promptseg.files import replacing

TIMEOUT = 60  # seconds without a byte


def fetch(url: str, path: Path) -> None:
    """Download `url` to `path`; a progress bar is shown on a terminal.

    The environment variable PROMPTSEG_MIRROR (such as `http://127.0.0.1:8000`) replaces scheme and host of the
    address: for closed networks, and for tests. Raises Problem, which names the address, when the server is out of
    reach, refuses, sends a web page in place of the file, or sends less than it announced.
    """
    address = _mirrored(url)
    announced = {}

    def inspect(response: requests.Response, *_, **__) -> None:
        if not response.ok or response.is_redirect:
            return
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _problem(address, "a web page came in place of the file")
        announced["bytes"] = response.headers.get("Content-Length")

    get = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=1 << 20,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},  # else the announced length is not that of the file
        hooks={"response": inspect},
    )
    with replacing(path) as aside:
        try:
            get(address, str(aside), None)
        except requests.RequestException as error:
            raise _problem(address, _reason(error)) from None
        # urllib3 checks this itself from version 2 on.
        if announced["bytes"] is not None and int(announced["bytes"]) != aside.stat().st_size:
            raise _problem(address, f"cut short: {aside.stat().st_size:,} of {int(announced['bytes']):,} bytes came")


def _mirrored(url: str) -> str:
    mirror = os.environ.get("PROMPTSEG_MIRROR")
    if not mirror:
        return url
    there, wanted = urlsplit(mirror), urlsplit(url)
    if there.scheme not in ("http", "https") or not there.netloc:
        raise Problem(f"PROMPTSEG_MIRROR: {_shown(mirror)!r} is no address such as http://127.0.0.1:8000")
    return urlunsplit(wanted._replace(scheme=there.scheme, netloc=there.netloc))


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (its certificate is not accepted)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "cut short: the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"the download failed ({type(error).__name__})"


def _problem(address: str, reason: str) -> Problem:
    return Problem(
        f"{_shown(address)}: {reason}; try again, or download it by hand and give its folder in params.yaml "
        "as datasets.<name>.source"
    )


def _shown(address: str) -> str:
    """The address without the user and password that a mirror's may hold."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
