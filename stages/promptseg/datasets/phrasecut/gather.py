"""Parallel download of many small images whose addresses come from an annotation file and are not trusted.

An address must be on one of the hosts that the dataset names, and so must every redirect. It is requested by https with
limits on size and time, and the response must be a complete image of the annotated size. Files that exist are not
requested again, so an interrupted download can be resumed.
"""

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from promptseg.core import progress
from promptseg.core.errors import UserError
from promptseg.core.thread_pool import ThreadPool
from promptseg.data import image_io
from promptseg.download.http import mirrored

THREADS = 8
TRIES = 3
WAIT = 1.0  # seconds before the second try, twice as many before the third
TIMEOUT = 30  # seconds without a byte
MAX_SECONDS = 120  # per image
MAX_BYTES = 20_000_000  # per image
REDIRECTS = 3
MAX_FAILURES = 40  # before any success: the server is unreachable, and further requests are pointless


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image to download: its address, its destination, and its (width, height) in pixels."""

    url: str
    path: Path
    size: tuple[int, int]


class _Failed(Exception):
    """A failure that another try would not change."""


def gather(wanted: Iterable[Wanted], hosts: tuple[str, ...], by_hand: str) -> None:
    """Download each image that does not exist yet, several at a time, with a progress bar on a terminal.

    The environment variable PROMPTSEG_MIRROR replaces scheme and host of the addresses, as in `http.fetch`.

    Args:
        wanted: the images.
        hosts: from which images may be downloaded.
        by_hand: how to get the images otherwise, for the error message.

    Raises:
        UserError: at the end, if images could not be downloaded: how many, and the reason for the first one; at once,
            if an image cannot be written.
    """
    missing = sorted((image for image in wanted if not image.path.is_file()), key=lambda image: str(image.path))
    if not missing:
        return
    for folder in {image.path.parent for image in missing}:
        folder.mkdir(parents=True, exist_ok=True)
    # Shared by all threads.
    done: list[Wanted] = []
    failed: dict[str, str] = {}
    local = threading.local()
    bar = progress.bar(total=len(missing), unit="image", leave=True)

    def download(image: Wanted) -> None:
        if not done and len(failed) >= MAX_FAILURES:
            return
        if not hasattr(local, "session"):
            local.session = requests.Session()
        try:
            _get(local.session, image, hosts)
            done.append(image)
        except _Failed as error:
            failed[image.url] = str(error)
        bar.update()

    with bar, ThreadPool(THREADS) as pool:
        for _ in pool.map_ordered(download, missing):
            pass
    if failed:
        first = next(image.url for image in missing if image.url in failed)
        count = f"{len(missing) - len(done):,} of {len(missing):,} images could not be downloaded"
        raise UserError(f"{first[:200]!r}: {failed[first]}; {count}; try again to resume, or {by_hand}")


def _get(session: requests.Session, image: Wanted, hosts: tuple[str, ...]) -> None:
    """Download one image, completely or not at all. Raises _Failed, and UserError where it cannot be written."""
    address = _check_host(image.url, hosts)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        try:
            data = _request(session, address, hosts)
            break
        except requests.RequestException as error:
            reason = type(error).__name__
            if isinstance(error, requests.HTTPError) and error.response is not None:
                reason = f"the server responds with {error.response.status_code}"
                if error.response.status_code < 500:
                    raise _Failed(reason) from None
    else:
        raise _Failed(f"{reason}, {TRIES} times")
    aside = image.path.with_name(f".{image.path.name}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(data)
        try:
            height, width = image_io.read_image(aside).shape[:2]
        except UserError:
            raise _Failed("the response is not a complete image") from None
        if (width, height) != image.size:
            expected = f"{image.size[0]}x{image.size[1]}"
            raise _Failed(f"the image is {width}x{height}, not {expected} as annotated")
        os.replace(aside, image.path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{image.path}: cannot be written: {reason}; free disk space, then try again") from None
    finally:
        aside.unlink(missing_ok=True)


def _request(session: requests.Session, address: str, hosts: tuple[str, ...]) -> bytes:
    """Request an address, following redirects within the hosts. Raises _Failed and requests' own exceptions."""
    until, address = time.monotonic() + MAX_SECONDS, mirrored(address)
    for _ in range(REDIRECTS + 1):
        with session.get(address, stream=True, allow_redirects=False, timeout=TIMEOUT) as response:
            response.raise_for_status()
            if response.is_redirect:
                address = mirrored(_check_host(urljoin(address, response.headers["Location"]), hosts))
                continue
            data = bytearray()
            for chunk in response.iter_content(1 << 16):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise _Failed(f"the response exceeds {MAX_BYTES:,} bytes")
                if time.monotonic() > until:
                    raise _Failed(f"the response took longer than {MAX_SECONDS} seconds")
            return bytes(data)
    raise _Failed(f"more than {REDIRECTS} redirects")


def _check_host(url: str, hosts: tuple[str, ...]) -> str:
    """Return the address with https if it is on one of the hosts. Raises _Failed otherwise."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Failed("the address is invalid") from None
    mirror = urlsplit(os.environ.get("PROMPTSEG_MIRROR", ""))
    if mirror.netloc and (parts.scheme, parts.netloc) == (mirror.scheme, mirror.netloc):
        return url
    if parts.scheme not in ("http", "https") or parts.hostname not in hosts or port or "@" in parts.netloc:
        raise _Failed(f"the address {url[:200]!r} is not on {' or '.join(hosts)}")
    return urlunsplit(parts._replace(scheme="https"))
