"""Reading of a user's masks: every value must have a stated or unambiguous meaning.

Masks of 0 and 255 that are read as ids are a frequent cause of an IoU of 0, and soft edges that are taken at face value
enlarge or shrink every object. Both raise a UserError that lists the values found and the option to set.
"""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets.folder.labels import IGNORED, Labels, shown

_UNKNOWN = 254
_SOFT = 6  # so many unlisted values in one mask are taken for soft edges
_IDENTITY = {value: value for value in range(256)}


class MaskReader:
    """Reader of all masks of a dataset.

    Where the value of the only class is not stated, it is 1 or 255, the same in all masks.

    Args:
        labels: meaning of the values.
    """

    def __init__(self, labels: Labels):
        self._labels = labels
        self._all: list[tuple[Callable[[], np.ndarray], Path | str]] = []

    def add_file(self, path: Path) -> Callable[[], np.ndarray]:
        """Add a mask file.

        Args:
            path: of the file.

        Returns:
            A function that reads it: (h, w) uint8, 0 background, i class i, 255 ignored. It raises UserError where a
            value has no meaning.
        """
        return self.add(partial(read_values, path, self._labels), path)

    def add(self, load: Callable[[], np.ndarray], where: Path | str) -> Callable[[], np.ndarray]:
        """Add a mask from any source.

        Args:
            load: returns the values, (h, w) or (h, w, 3) uint8.
            where: name of the mask, for messages.

        Returns:
            As `add_file`.
        """
        self._all.append((load, where))
        return partial(self._read, load, where)

    def _read(self, load: Callable[[], np.ndarray], where: Path | str) -> np.ndarray:
        """Read a mask and map its values to labels."""
        values, known = load(), self._labels
        if known.colors:
            return self._map_colors(values, where)
        if known.threshold is not None:
            return (values >= known.threshold).astype(np.uint8)
        counts, table = np.bincount(values.ravel(), minlength=256), dict(known.table)
        found = np.flatnonzero(counts).tolist()
        if known.binary:
            table |= self._class_value(found, where)
        unlisted = [value for value in found if value not in table]
        if unlisted and known.others == "error":
            raise UserError(f"{where}: {self._explain(found, unlisted, table, counts)}")
        mapped = np.full(256, IGNORED if known.others == "ignore" else 0, np.uint8)
        mapped[list(table)] = list(table.values())
        return mapped[values]

    def _class_value(self, found: list[int], where: Path | str) -> dict[int, int]:
        """Return {value of the class: 1} for one mask, checked against the mask that decides for the dataset."""
        value = self._candidate(found)
        if value is None:
            return {}
        if not self._is_unambiguous(found):
            return {value: 1}  # the caller reports the other values
        expected, first = self._convention
        if expected not in found:
            name = self._labels.names[0]
            remedy = f"set options.classes: {{{name}: [1, 255]}} if both are {name}, or options.ignore: 255"
            raise UserError(f"{where}: it contains {value}, but {first} contains {expected}; {remedy}")
        return {expected: 1}

    @cached_property
    def _convention(self) -> tuple[int, Path | str]:
        """1 or 255, and the first mask that contains one: in the order of the dataset, so the same in any process."""
        for load, where in self._all:
            try:
                found = np.flatnonzero(np.bincount(load().ravel(), minlength=256)).tolist()
            except UserError:
                continue  # raised again when this mask is read
            value = self._candidate(found)
            if value is not None and self._is_unambiguous(found):
                return value, where
        raise AssertionError("only called for a mask that contains one")

    def _is_unambiguous(self, found: list[int]) -> bool:
        """Return whether a mask holds at most one unlisted value, if unlisted values are errors."""
        return self._labels.others != "error" or sum(value not in self._labels.table for value in found) <= 1

    def _candidate(self, found: list[int]) -> int | None:
        """Return the unlisted value of a mask that may be the class."""
        return next((value for value in (1, 255) if value in found and value not in self._labels.table), None)

    def _map_colors(self, values: np.ndarray, where: Path | str) -> np.ndarray:
        """Map colors to labels. Raises UserError for colors without meaning."""
        codes, known = _codes(values), self._labels
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
                if len(colors) >= _SOFT:
                    remedy = "soft edges? save the masks without smoothing, or set options.others: ignore"
                else:
                    remedy = "add the missing colors to options.classes, background or ignore"
                raise UserError(f"{where}: it contains {found}, but options list only {listed}; {remedy}")
            mapped[unknown] = IGNORED if known.others == "ignore" else 0
        return mapped

    def _explain(self, found: list[int], unlisted: list[int], table: dict[int, int], counts: np.ndarray) -> str:
        """Describe the values of a mask and the options that would give them a meaning."""
        values = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        names = self._labels.names
        if len(unlisted) >= _SOFT:
            if len(names) == 1:
                remedy = f"set options.threshold: 128, then 128-255 are {names[0]}"
            else:
                remedy = "save the masks without smoothing, or set options.others: ignore"
            return f"its values are {values}: soft edges? {remedy}"
        value, pixels = unlisted[0], "1 pixel" if counts[unlisted[0]] == 1 else f"{counts[unlisted[0]]} pixels"
        listed = ", ".join(map(str, sorted(table)))
        example = f"classes: {{{names[0]}: {value}}}, ignore: {value} or background: [0, {value}]"
        what = f"value {value}" if len(found) == 1 else f"values {values}"
        return f"{what}: {value} ({pixels}) is unknown, known are {listed}; set options.{example}"


def read_values(path: Path, labels: Labels) -> np.ndarray:
    """Read the values in a mask file without mapping them.

    Args:
        path: PNG or TIFF file; with a threshold also JPEG.
        labels: decides whether values are ids or colors.

    Returns:
        (h, w) uint8, or (h, w, 3) uint8 for labels in colors.

    Raises:
        UserError: the file is damaged, lossy, or of the wrong kind for `labels`.
    """
    jpeg, palette = _format(path)
    if jpeg and labels.threshold is None:
        hint = ", or set options.threshold: 128" if labels.binary else ""
        raise UserError(f"{path}: a JPEG blurs the labels of a mask; give it as PNG or TIFF{hint}")
    # In a palette of grays the indices are not ids: 0 may stand for white.
    if jpeg or labels.colors or (labels.binary and palette):
        values = image_io.read_image(path)
        if values.ndim == 3 and not labels.colors:
            gray = jpeg or (values == values[..., :1]).all()
            values = values[..., 0] if gray else image_io.read_mask(path, _IDENTITY)
        return values
    try:
        values = image_io.read_mask(path, _IDENTITY)
    except UserError:
        colors = _colors_in(path)
        if not colors:
            raise
        raise UserError(f"{path}: it holds colors ({colors}, ...); set options.classes: {{name: '#rrggbb'}}") from None
    if labels.threshold is not None and labels.threshold > 1 and values.max() == 1:
        raise UserError(f"{path}: its values are 0 and 1, all below the threshold {labels.threshold}; remove threshold")
    return values


def _colors_in(path: Path) -> str:
    """Format the first four colors of a mask that is an RGB image; "" for any other file."""
    try:
        values = image_io.read_image(path)
    except UserError:
        return ""
    return ", ".join(shown(code, True) for code in np.unique(_codes(values))[:4]) if values.ndim == 3 else ""


def _codes(values: np.ndarray) -> np.ndarray:
    """Pack (h, w) or (h, w, 3) uint8 into (h, w) uint32 color codes."""
    red, green, blue = (image_io.to_rgb(values)[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def _format(path: Path) -> tuple[bool, bool]:
    """Return whether a file is a JPEG, and whether it is a PNG with a palette, by its content."""
    try:
        with open(path, "rb") as file:
            head = file.read(26)
    except OSError:
        return False, False  # reading reports the reason
    return head[:2] == b"\xff\xd8", head[:4] == b"\x89PNG" and head[25:] == b"\x03"
