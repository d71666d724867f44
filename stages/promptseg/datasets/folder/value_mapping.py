"""From the values in a mask to labels, and what to say of values without a meaning."""

from pathlib import Path

import cv2
import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets.folder import instance_ids
from promptseg.datasets.folder.labels import IGNORED, Labels, shown

_UNKNOWN = 254
SOFT = 6  # so many unlisted values in one mask are taken for soft edges


def count(values: np.ndarray) -> dict[int, int]:
    """Count the pixels of each value of a mask, in the order of the values."""
    if values.dtype in (bool, np.uint8, np.uint16):
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def color_codes(values: np.ndarray) -> np.ndarray:
    """Pack (h, w) or (h, w, 3) uint8 into (h, w) uint32 color codes."""
    red, green, blue = (image_io.to_rgb(values)[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def mapped(values: np.ndarray, table: dict[int, int], default: int) -> np.ndarray:
    """Map values, (h, w) integers, to labels, (h, w) uint8; those that are not in the table to the default."""
    if values.dtype == np.uint8:
        labels = np.full(256, default, np.uint8)
        labels[list(table)] = list(table.values())
        return cv2.LUT(values, labels)
    labels = np.full(values.shape, default, np.uint8)
    for value, label in table.items():
        labels[values == value] = label
    return labels


def map_colors(values: np.ndarray, known: Labels, where: Path | str) -> np.ndarray:
    """Map colors, (h, w) or (h, w, 3) uint8, to labels. Raises UserError for colors without meaning."""
    codes = color_codes(values)
    mapped = np.full(codes.shape, _UNKNOWN, np.uint8)
    for code, id in known.table.items():
        mapped[codes == code] = id
    unknown = mapped == _UNKNOWN
    if unknown.any():
        if known.others == "error":
            colors, counts = np.unique(codes[unknown], return_counts=True)
            most = int(counts.argmax())
            found = f"{shown(colors[most], True)} at {counts[most]} pixels"
            found += f" and {len(colors) - 1} more colors" if len(colors) > 1 else ""
            listed = ", ".join(shown(code, True) for code in known.table)
            if len(colors) >= SOFT:
                remedy = "soft edges? save the masks without smoothing, or set options.others: ignore"
            else:
                remedy = "add the missing colors to options.classes, background or ignore"
            raise UserError(f"{where}: it contains {found}, but options list only {listed}; {remedy}")
        mapped[unknown] = IGNORED if known.others == "ignore" else 0
    return mapped


def explain(values: np.ndarray, counts: dict[int, int], table: dict[int, int], known: Labels) -> str:
    """Describe the values of a mask and the options that would give them a meaning.

    Args:
        values: (h, w) of the mask.
        counts: of its values, from `count`.
        table: values that have a meaning.
        known: the labels.
    """
    found, unlisted = list(counts), [value for value in counts if value not in table]
    listed = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
    name = known.names[0]
    each = f"options.instances: true if each value is one {name}" if known.binary else ""
    if found[-1] > IGNORED:
        remedy = f"set {each}, else save classes" if each else "save the classes"
        return f"its values are {listed}: {remedy} as 0 to {IGNORED}"
    if len(unlisted) >= SOFT:
        ids = [value for value in found if value not in known.table]
        if each and instance_ids.are_regions(values, ids, set(known.table)):
            return f"its values are {listed}: set {each}"
        if len(known.names) == 1:
            remedy = f"set options.threshold: 128, then 128-255 are {name}"
        else:
            remedy = "save the masks without smoothing, or set options.others: ignore"
        return f"its values are {listed}: soft edges? {remedy}"
    value, pixels = unlisted[0], "1 pixel" if counts[unlisted[0]] == 1 else f"{counts[unlisted[0]]} pixels"
    example = f"classes: {{{name}: {value}}}, ignore: {value} or background: [0, {value}]"
    if each and sum(value not in known.table for value in found) > 1:
        example += f", or {each}"
    what = f"value {value}" if len(found) == 1 else f"values {listed}"
    return (
        f"{what}: {value} ({pixels}) is unknown, known are {', '.join(map(str, sorted(table)))}; set options.{example}"
    )
