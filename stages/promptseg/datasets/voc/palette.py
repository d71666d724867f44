"""Official colors of the VOC masks, and the mapping from colors to labels."""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError

IGNORED = 255


def palette() -> np.ndarray:
    """Compute the colors of all labels: the bits of a label go to red, green and blue in turn, highest bit first.

    Returns:
        (256, 3) uint8, as VOClabelcolormap.m of the official development kit computes it.
    """
    labels, colors = np.arange(256), np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (labels >> (3 * bit + channel) & 1) << (7 - bit)
    return colors.astype(np.uint8)


def is_colored(path: Path) -> bool:
    """Return whether a file is a PNG with colors (palette, RGB, RGBA), by its header.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(26)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}; restore it") from None
    # The PNG specification, 11.2.1: after signature, length, type, width, height and depth comes the color type.
    return header.startswith(b"\x89PNG\r\n\x1a\n") and header[25:] in (b"\2", b"\3", b"\6")


def from_colors(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map colors to labels.

    Args:
        colors: (h, w, 3) uint8.

    Returns:
        The labels, (h, w) uint8 of 0-20 and 255 (arbitrary where the color is unknown), and the unknown colors, (n, 3)
        uint8, one per pixel.
    """
    codes = _codes(colors)
    indices = np.minimum(np.searchsorted(_SORTED, codes), len(_SORTED) - 1)
    return _LABELS[indices], colors[_SORTED[indices] != codes]


def _codes(colors: np.ndarray) -> np.ndarray:
    """Pack (..., 3) uint8 colors into (...) int32."""
    red, green, blue = (colors[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


_LABELS = np.array([*range(21), IGNORED], np.uint8)
_LABELS = _LABELS[np.argsort(_codes(palette()[_LABELS]))]  # sorted by color code, for searchsorted
_SORTED = _codes(palette()[_LABELS])
