"""Point clouds in the place of pictures, so that containers, caches, prompts and scores need not tell them apart.

A cloud of n points is a picture (n, 2, 3) uint8: a row is a point, the channels are its x, y and z (y up) of 16 bits
each, their high bytes in the left column and their low bytes in the right. They fill a cube: the cloud's largest extent
is 65535 steps, the others keep their proportion and are centerd. Its mask is (n, 2) uint8, a point's label twice, so
that what is counted of pixels is right for points. There is no background: every point is of one of the classes that
its row is asked for.
"""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError

KIND = "cloud"  # what a dataset, a container's `about` and a model call it
STEPS = 65535


def is_cloud(about: dict) -> bool:
    """Whether the rows of a container with this `about` are clouds."""
    return about.get("kind") == KIND


def encode(points: np.ndarray) -> np.ndarray:
    """(n, 3) float, finite and not all one point -> (n, 2, 3) uint8; each coordinate to within half a step."""
    low, high = points.min(axis=0), points.max(axis=0)
    inside = (points - (low + high) / 2) / (high - low).max() + 0.5
    steps = np.round(inside * STEPS).astype(np.uint16)
    return np.stack([steps >> 8, steps & 255], axis=1).astype(np.uint8)


def decode(picture: np.ndarray) -> np.ndarray:
    """(n, 2, 3) uint8 -> (n, 3) float32 in [-1, 1]; the largest extent is 2."""
    high, low = picture[:, 0].astype(np.float32), picture[:, 1].astype(np.float32)
    return (high * 256 + low) * (2 / STEPS) - 1


def mask(labels: np.ndarray) -> np.ndarray:
    """(n,) integers in 1..254 -> (n, 2) uint8, the mask of their points."""
    return np.repeat(labels.astype(np.uint8)[:, None], 2, axis=1)


def evenly(count: int, wanted: int) -> np.ndarray:
    """Which of `count` points to take for `wanted`: (wanted,) int, evenly along the file, some twice if too few."""
    return np.arange(wanted) * count // wanted


def read_text(path: Path, columns: int, delimiter: str | None) -> np.ndarray:
    """(n, columns) float64 from a file of numbers, a point a line; delimiter: None for white space.

    Raises UserError, naming the file and the line, for what is no such file, breaks off, or holds NaN or infinity.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().decode("ascii")
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no text of numbers; fetch it again") from None
    lines = text.splitlines()
    if not lines:
        raise UserError(f"{path}: empty; fetch it again")
    if not text.endswith("\n") and _decimals(lines[-1]) < _decimals(lines[0]):
        raise UserError(f"{path}: it breaks off in line {len(lines)}; fetch it again")
    try:
        values = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(lines), columns) or not np.isfinite(values).all():
        number = next((i for i, line in enumerate(lines, 1) if not _row(line, columns, delimiter)), 1)
        raise UserError(
            f"{path}: line {number} should be {columns} numbers, got {lines[number - 1][:60]!r}; fetch it again"
        )
    if not np.ptp(values[:, :3], axis=0).any():
        raise UserError(f"{path}: all its points are in one place; fetch it again")
    return values


def _decimals(line: str) -> int:
    """Digits behind the point of a line's last number."""
    return len(line.rstrip().rpartition(".")[2])


def _row(line: str, columns: int, delimiter: str | None) -> bool:
    try:
        values = [float(part) for part in line.split(delimiter)]
    except ValueError:
        return False
    return len(values) == columns and bool(np.isfinite(values).all())
