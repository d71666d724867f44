"""What the two sets of clouds share: one server, archives of text files, and how points are taken out of them."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from promptseg.core import params
from promptseg.data import point_clouds
from promptseg.download import archives
from promptseg.download.http import fetch


class Options(params.Settings):
    """points: so many of each cloud; 2048 is what the field scores parts on."""

    points: Annotated[int, Field(ge=64, le=65536)] = 2048


def download(url: str, folder: Path) -> None:
    """Fetch and unpack an archive; no checksum of either is published.

    Their server has refused many since 2023: then a copy of the archive has to be found by hand, as fetch says.
    """
    archive = folder / Path(url).name
    fetch(url, archive)
    archives.unpack(archive, folder)
    archive.unlink()


def cloud(path: Path, columns: int, separator: str | None, count: int) -> np.ndarray:
    """(count, 2, 3) uint8 (clouds.encode): the first three of a text file's columns, at lines evenly apart."""
    found = point_clouds.read_text(path, columns, separator)[:, :3]
    return point_clouds.encode(found[point_clouds.evenly(len(found), count)])
