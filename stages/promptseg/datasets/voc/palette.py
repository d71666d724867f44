"""The official colors of VOC's masks, and the way back from colors to labels."""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError

IGNORED = 255


def palette() -> np.ndarray:
    """The colors of the labels, (256, 3) uint8: a label's bits dealt out to red, green and blue, highest first.

    After VOClabelcolormap.m of the official development kit.
    """
    labels, colors = np.arange(256), np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            colors[:, channel] |= (labels >> (3 * place + channel) & 1) << (7 - place)
    return colors.astype(np.uint8)


def is_colored(path: Path) -> bool:
    """True for a PNG that holds colors (palette, RGB, RGBA), by its header. Raises UserError if there is no file."""
    try:
        with open(path, "rb") as file:
            header = file.read(26)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}; restore it") from None
    # The PNG specification, 11.2.1: after signature, length, type, width, height and depth comes the color type.
    return header.startswith(b"\x89PNG\r\n\x1a\n") and header[25:] in (b"\2", b"\3", b"\6")


def from_colors(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 -> labels (h, w) uint8 of 0-20 and 255, and the colors (n, 3) that are none of theirs."""
    codes = _codes(colors)
    places = np.minimum(np.searchsorted(_SORTED, codes), len(_SORTED) - 1)
    return _LABELS[places], colors[_SORTED[places] != codes]


def _codes(colors: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 -> (...) int32, one number a color."""
    red, green, blue = (colors[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


_LABELS = np.array([*range(21), IGNORED], np.uint8)
_LABELS = _LABELS[np.argsort(_codes(palette()[_LABELS]))]  # in the order of their colors' numbers
_SORTED = _codes(palette()[_LABELS])
