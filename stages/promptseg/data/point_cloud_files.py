"""Reading of the point cloud datasets, which are text files."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from promptseg.core import params
from promptseg.data import point_clouds


class Options(params.Settings):
    """Reader options of the point cloud datasets."""

    points: Annotated[int, Field(ge=64, le=65536)] = 2048  # per cloud; part segmentation is usually scored on 2048


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
