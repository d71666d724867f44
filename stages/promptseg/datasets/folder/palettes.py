"""Masks with a palette: whether their indices are ids, or stand for gray values."""

from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data.label_images import gray_levels
from promptseg.datasets.folder.labels import IGNORED

_GROUNDS = (0x000000, 0xFFFFFF)  # usual colors of the background, the more usual one first
_REMEDY = "set options.classes: {name: '#rrggbb'}, or save the masks as gray 0, 1, 2, ..."


def values(indices: np.ndarray, palette: np.ndarray, table: dict[int, int], path: Path) -> np.ndarray:
    """Read the values of a mask.

    A palette of grays stands for its gray values: programs that store few levels as a palette order it as they like.
    Of a palette with colors, the indices are the values, unless another reading is as good.

    Args:
        indices: (h, w) uint8.
        palette: (n, 3) uint8.
        table: from the values that have a meaning to labels.
        path: of the file, for messages.

    Returns:
        (h, w) uint8.

    Raises:
        UserError: it is not clear what the values are.
    """
    padded = np.zeros((256, 3), np.uint8)
    padded[: len(palette)] = palette
    levels = gray_levels(padded)
    if levels is not None:
        return levels[indices]
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    levels = gray_levels(padded[used])
    if levels is not None:
        return _gray_or_index(indices, padded[:, 0], used, table, path)
    colors = _codes(padded[used])
    for ground in _GROUNDS:
        places = [index for index, color in zip(used.tolist(), colors) if color == ground]
        places = [index for index in places if table.get(index) != IGNORED]
        if places and 0 not in places:
            raise UserError(
                f"{path}: its palette has #{ground:06x}, the usual background, at {places[0]} and not at 0; {_REMEDY}"
            )
        if places:
            break
    return indices


def check_same(
    indices: np.ndarray, palette: np.ndarray, first: tuple[np.ndarray, Path] | None, path: Path
) -> None:  # fmt: skip
    """Raise UserError where an index has another color than in the first mask with a palette of colors."""
    if first is None or first[1] == path:
        return
    for index in np.flatnonzero(np.bincount(indices.ravel())):
        if index < min(len(palette), len(first[0])) and (palette[index] != first[0][index]).any():
            here, there = (f"#{_codes(each[index : index + 1])[0]:06x}" for each in (palette, first[0]))
            raise UserError(f"{path}: its palette has {here} at {index}, that of {first[1]} has {there}; {_REMEDY}")


def _gray_or_index(indices, levels: np.ndarray, used: np.ndarray, table: dict[int, int], path: Path) -> np.ndarray:
    """The values of a mask that uses only the grays of a palette with colors, if one reading alone has a meaning."""
    by_level, by_index = (all(int(value) in table for value in each) for each in (levels[used], used))
    if by_level and by_index and any(table[int(levels[index])] != table[int(index)] for index in used):
        raise UserError(f"{path}: its indices and the grays of its palette say different things; {_REMEDY}")
    return indices if by_index else levels[indices]


def _codes(colors: np.ndarray) -> np.ndarray:
    """Pack (n, 3) uint8 into (n,) color codes."""
    return colors.astype(np.int64) @ (1 << 16, 1 << 8, 1)
