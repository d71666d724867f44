"""The official colours of VOC's masks, and the way back from colours to labels."""

from pathlib import Path

import numpy as np

from promptseg.base.errors import Problem

IGNORED = 255


def palette() -> np.ndarray:
    """The colours of the labels, (256, 3) uint8: a label's bits dealt out to red, green and blue, highest first.

    After VOClabelcolormap.m of the official development kit.
    """
    labels, colours = np.arange(256), np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (labels >> (3 * place + channel) & 1) << (7 - place)
    return colours.astype(np.uint8)


def is_coloured(path: Path) -> bool:
    """True for a PNG that holds colours (palette, RGB, RGBA), by its header. Raises Problem if there is no file."""
    try:
        with open(path, "rb") as file:
            header = file.read(26)
    except OSError as error:
        raise Problem(f"{path}: {(error.strerror or str(error)).lower()}; restore it") from None
    # The PNG specification, 11.2.1: after signature, length, type, width, height and depth comes the colour type.
    return header.startswith(b"\x89PNG\r\n\x1a\n") and header[25:] in (b"\2", b"\3", b"\6")


def from_colours(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 -> labels (h, w) uint8 of 0-20 and 255, and the colours (n, 3) that are none of theirs."""
    codes = _codes(colours)
    places = np.minimum(np.searchsorted(_SORTED, codes), len(_SORTED) - 1)
    return _LABELS[places], colours[_SORTED[places] != codes]


def _codes(colours: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 -> (...) int32, one number a colour."""
    red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


_LABELS = np.array([*range(21), IGNORED], np.uint8)
_LABELS = _LABELS[np.argsort(_codes(palette()[_LABELS]))]  # in the order of their colours' numbers
_SORTED = _codes(palette()[_LABELS])
