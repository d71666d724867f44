"""Downloading and reading of the point cloud datasets, which are archives of text files on one server."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from promptseg.core import params
from promptseg.data import point_clouds
from promptseg.download import archives
from promptseg.download.http import fetch


class Options(params.Settings):
    """Reader options of the point cloud datasets."""

    points: Annotated[int, Field(ge=64, le=65536)] = 2048  # per cloud; part segmentation is usually scored on 2048


def download(url: str, folder: Path) -> None:
    """Download and unpack an archive.

    No checksums are published. The server has refused many requests since 2023; the error message then says how to
    download the archive by hand.

    Args:
        url: of a .zip archive.
        folder: where its content goes.

    Raises:
        UserError: the archive cannot be downloaded or unpacked.
    """
    archive = folder / Path(url).name
    fetch(url, archive)
    archives.unpack(archive, folder)
    archive.unlink()


def read_points(path: Path, columns: int, delimiter: str | None, count: int) -> np.ndarray:
    """Read a fixed number of points from a text file, at regular steps along it.

    Args:
        path: a file that `point_clouds.read_text` reads.
        columns: numbers per line.
        delimiter: between numbers; None for white space.
        count: points to select.

    Returns:
        (count, 2, 3) uint8, encoded by `point_clouds.encode`.

    Raises:
        UserError: the file is missing or damaged.
    """
    points = point_clouds.read_text(path, columns, delimiter)[:, :3]
    return point_clouds.encode(points[point_clouds.evenly(len(points), count)])
