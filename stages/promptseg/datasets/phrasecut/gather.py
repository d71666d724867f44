"""Many small pictures from addresses that stand in an annotation file, and are therefore not trusted.

An address must be on one of the hosts that the dataset names, and so must whatever it redirects to; it is asked for by
https, with a cap on size and time; what comes must be a whole picture of the announced size. What is there already is
not asked for again, so a download that broke off goes on where it was.
"""

import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from promptseg.core import progress
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.download.http import mirrored

THREADS = 8
TRIES = 3
WAIT = 1.0  # seconds before the second try, twice as many before the third
TIMEOUT = 30  # seconds without a byte
LONGEST = 120  # seconds for one picture
LARGEST = 20_000_000  # bytes of one picture
REDIRECTS = 3
HOPELESS = 40  # failures before anything has come: the server is out of reach, and asking on is no use


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to be had: its address, where it goes, and its (width, height) in pixels."""

    url: str
    path: Path
    size: tuple[int, int]


class _Failed(Exception):
    """Why one picture did not come; trying again is no use."""


def gather(wanted: Iterable[Wanted], hosts: tuple[str, ...], by_hand: str) -> None:
    """Fetch each picture that is not there yet; several at a time, with a bar on a terminal.

    by_hand: what to do where they cannot be had. Raises UserError at the end with how many did not come and why the
    first of them did not, and at once where a picture cannot be written. PROMPTSEG_MIRROR replaces scheme and host as
    in `fetch`.
    """
    wanted = sorted((one for one in wanted if not one.path.is_file()), key=lambda one: str(one.path))
    if not wanted:
        return
    for folder in {one.path.parent for one in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    came, failed, local = [], {}, threading.local()  # filled by all threads
    bar = progress.bar(total=len(wanted), unit="picture", leave=True)

    def one(picture: Wanted) -> None:
        if not came and len(failed) >= HOPELESS:
            return
        if not hasattr(local, "session"):
            local.session = requests.Session()
        try:
            _get(local.session, picture, hosts)
            came.append(picture)
        except _Failed as error:
            failed[picture.url] = str(error)
        bar.update()

    with bar, ThreadPoolExecutor(THREADS) as pool:
        try:
            for _ in pool.map(one, wanted):
                pass
        except BaseException:  # a full disk, Ctrl-C: else the pool would first fetch all that is left
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        first = next(one.url for one in wanted if one.url in failed)
        missing = f"{len(wanted) - len(came):,} of {len(wanted):,} pictures did not come"
        raise UserError(f"{first[:200]!r}: {failed[first]}; {missing}; try again, what came is kept; or {by_hand}")


def _get(session: requests.Session, picture: Wanted, hosts: tuple[str, ...]) -> None:
    """Write one picture, whole or not at all. Raises _Failed, and UserError where it cannot be written."""
    address = _allowed(picture.url, hosts)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        try:
            data = _bytes(session, address, hosts)
            break
        except requests.RequestException as error:
            reason = type(error).__name__
            if isinstance(error, requests.HTTPError):
                reason = f"the server answers {error.response.status_code}"
                if error.response.status_code < 500:
                    raise _Failed(reason) from None
    else:
        raise _Failed(f"{reason}, {TRIES} times")
    aside = picture.path.with_name(f".{picture.path.name}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(data)
        try:
            height, width = image_io.read_image(aside).shape[:2]
        except UserError:
            raise _Failed("what came is no whole picture") from None
        if (width, height) != picture.size:
            expected = f"{picture.size[0]}x{picture.size[1]}"
            raise _Failed(f"the picture is {width}x{height}, not {expected} as its annotations")
        os.replace(aside, picture.path)
    except OSError as error:
        raise UserError(
            f"{picture.path}: cannot be written: {error.strerror or error}; make room, then try again"
        ) from None
    finally:
        aside.unlink(missing_ok=True)


def _bytes(session: requests.Session, address: str, hosts: tuple[str, ...]) -> bytes:
    """What an address gives, redirects within the hosts followed. Raises _Failed and requests' own exceptions."""
    until, address = time.monotonic() + LONGEST, mirrored(address)
    for _ in range(REDIRECTS + 1):
        with session.get(address, stream=True, allow_redirects=False, timeout=TIMEOUT) as response:
            response.raise_for_status()
            if response.is_redirect:
                address = mirrored(_allowed(urljoin(address, response.headers["Location"]), hosts))
                continue
            data = bytearray()
            for piece in response.iter_content(1 << 16):
                data += piece
                if len(data) > LARGEST:
                    raise _Failed(f"more than {LARGEST:,} bytes came")
                if time.monotonic() > until:
                    raise _Failed(f"it took longer than {LONGEST} seconds")
            return bytes(data)
    raise _Failed(f"more than {REDIRECTS} redirects")


def _allowed(url: str, hosts: tuple[str, ...]) -> str:
    """The address, by https, if it is on one of the hosts. Raises _Failed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Failed("this is no address") from None
    mirror = urlsplit(os.environ.get("PROMPTSEG_MIRROR", ""))
    if mirror.netloc and (parts.scheme, parts.netloc) == (mirror.scheme, mirror.netloc):
        return url
    if parts.scheme not in ("http", "https") or parts.hostname not in hosts or port or "@" in parts.netloc:
        raise _Failed(f"the address {url[:200]!r} is not on {' or '.join(hosts)}")
    return urlunsplit(parts._replace(scheme="https"))
