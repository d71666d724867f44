"""Point clouds stored as images, so that splits, caches, prompts and scores handle both alike.

A cloud of n points is an image (n, 2, 3) uint8. Each row is a point and the channels are its x, y and z (y up) with
16 bits each: the high byte in the left column, the low byte in the right one. Coordinates are scaled to a cube: the
largest extent spans 65535 steps, the others keep their proportion and are centered. The mask is (n, 2) uint8 with each
point's label twice, so that counts of pixels hold for points. There is no background: every point belongs to one of the
classes that its sample is prompted for.
"""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError

MODALITY = "point_cloud"  # of a dataset, of a split (`about["modality"]`) and of a model; the other one is "image"
STEPS = 65535


def is_point_cloud(about: dict) -> bool:
    """Return whether the records of a split are point clouds.

    Args:
        about: metadata of the split.
    """
    return about.get("modality") == MODALITY


def encode(points: np.ndarray) -> np.ndarray:
    """Encode a point cloud as an image.

    Args:
        points: (n, 3) float, finite, not all at one place.

    Returns:
        (n, 2, 3) uint8; each coordinate is exact to half a step of the largest extent / 65535.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - (low + high) / 2) / (high - low).max() + 0.5
    steps = np.round(scaled * STEPS).astype(np.uint16)
    return np.stack([steps >> 8, steps & 255], axis=1).astype(np.uint8)


def decode(image: np.ndarray) -> np.ndarray:
    """Decode a point cloud from an image.

    Args:
        image: (n, 2, 3) uint8 from `encode`.

    Returns:
        (n, 3) float32 in [-1, 1]; the largest extent is 2.
    """
    high, low = image[:, 0].astype(np.float32), image[:, 1].astype(np.float32)
    return (high * 256 + low) * (2 / STEPS) - 1


def mask(labels: np.ndarray) -> np.ndarray:
    """Build the mask of a point cloud.

    Args:
        labels: (n,) integers in 1..254, the class of each point.

    Returns:
        (n, 2) uint8.
    """
    return np.repeat(labels.astype(np.uint8)[:, None], 2, axis=1)


def evenly(count: int, wanted: int) -> np.ndarray:
    """Select points at regular steps, in order.

    Args:
        count: points available.
        wanted: points to select.

    Returns:
        (wanted,) int indices in [0, count); some repeat if `wanted` exceeds `count`.
    """
    return np.arange(wanted) * count // wanted


def read_text(path: Path, columns: int, delimiter: str | None) -> np.ndarray:
    """Read a text file of numbers with one point per line.

    Args:
        path: an ASCII file whose first three columns are x, y and z.
        columns: numbers per line.
        delimiter: between numbers; None for white space.

    Returns:
        (n, columns) float64, finite.

    Raises:
        UserError: the file is missing, empty, truncated, not of that form, holds NaN or infinity, or all its points
            coincide; the message names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().decode("ascii")
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file of numbers; download it again") from None
    lines = text.splitlines()
    if not lines:
        raise UserError(f"{path}: the file is empty; download it again")
    if not text.endswith("\n") and _decimals(lines[-1]) < _decimals(lines[0]):
        raise UserError(f"{path}: truncated in line {len(lines)}; download it again")
    try:
        values = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(lines), columns) or not np.isfinite(values).all():
        number = next((i for i, line in enumerate(lines, 1) if not _is_valid(line, columns, delimiter)), 1)
        line = lines[number - 1][:60]
        raise UserError(f"{path}: line {number}: expected {columns} numbers, got {line!r}; download it again")
    if not np.ptp(values[:, :3], axis=0).any():
        raise UserError(f"{path}: all points coincide; download it again")
    return values


def _decimals(line: str) -> int:
    """Count the digits after the decimal point of the last number in a line."""
    return len(line.rstrip().rpartition(".")[2])


def _is_valid(line: str, columns: int, delimiter: str | None) -> bool:
    try:
        values = [float(text) for text in line.split(delimiter)]
    except ValueError:
        return False
    return len(values) == columns and bool(np.isfinite(values).all())
