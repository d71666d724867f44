"""Downloads without the network."""

from collections.abc import Callable
from pathlib import Path

from promptseg.download import archives, http


def faked(monkeypatch, unpacked: Callable[[Path, Path], object], **contents: bytes) -> list:
    """Replace `http.fetch` and the unpacking of archives.

    Args:
        monkeypatch: of pytest.
        unpacked: writes what an archive (first argument) holds to a folder (second argument).
        contents: of fetched files, by the stem of their name; others hold `archive`.

    Returns:
        The (url, checks) of each download, once there are some.
    """
    requested = []

    def fetch(url, path, **checks):
        requested.append((url, checks))
        path.write_bytes(contents.get(path.stem, b"archive"))

    def unpack(archive, folder):
        assert archive.read_bytes() == b"archive"
        unpacked(archive, folder)

    monkeypatch.setattr(http, "fetch", fetch)
    monkeypatch.setattr(archives, "unpack", unpack)
    return requested
