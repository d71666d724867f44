"""Masks of a user's, read by Labels: each value and color means what is stated, or exactly one thing, or nothing.

Masks of 0 and 255 that are read as ids are a frequent cause of an IoU of 0, and soft edges that are taken as they come
grow or shrink every object: both end in a UserError that says which values were found and what to write.
"""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.datasets.folder.labels import IGNORED, Labels, shown

_UNKNOWN = 254
_SOFT = 6  # unlisted values in one mask from which on they are taken for soft edges
_ANY = {value: value for value in range(256)}


class Masks:
    """The masks of one data set. What the class of a binary one is written as, 1 or 255, must agree in all of them."""

    def __init__(self, labels: Labels):
        self._labels = labels
        self._all: list[tuple[Callable[[], np.ndarray], Path | str]] = []

    def file(self, path: Path) -> Callable[[], np.ndarray]:
        """What reads the mask in a file: (h, w) uint8, 0 background, i class i, 255 ignored. It raises UserError."""
        return self.add(partial(raw, path, self._labels), path)

    def add(self, load: Callable[[], np.ndarray], where: Path | str) -> Callable[[], np.ndarray]:
        """What reads the mask whose values, (h, w) or (h, w, 3) uint8, load() gives as they stand."""
        self._all.append((load, where))
        return partial(self._read, load, where)

    def _read(self, load: Callable[[], np.ndarray], where: Path | str) -> np.ndarray:
        values, known = load(), self._labels
        if known.colors:
            return self._map_colors(values, where)
        if known.threshold is not None:
            return (values >= known.threshold).astype(np.uint8)
        counts, table = np.bincount(values.ravel(), minlength=256), dict(known.table)
        found = np.flatnonzero(counts).tolist()
        if known.binary:
            table |= self._binary(found, where)
        unlisted = [value for value in found if value not in table]
        if unlisted and known.others == "error":
            raise UserError(f"{where}: {self._advice(found, unlisted, table, counts)}")
        mapped = np.full(256, IGNORED if known.others == "ignore" else 0, np.uint8)
        mapped[list(table)] = list(table.values())
        return mapped[values]

    def _binary(self, found: list[int], where: Path | str) -> dict[int, int]:
        """The value of the class in one mask, checked against the one that decides for the set."""
        here = self._one_of(found)
        if here is None:
            return {}
        if not self._plain(found):
            return {here: 1}  # its other values are the trouble
        value, there = self._convention
        if value not in found:
            name = self._labels.names[0]
            mend = f"say options.classes: {{{name}: [1, 255]}} if both are {name}, or options.ignore: 255"
            raise UserError(f"{where}: it holds {here} where {there} holds {value}; {mend}")
        return {value: 1}

    @cached_property
    def _convention(self) -> tuple[int, Path | str]:
        """1 or 255, and the first mask that holds one: in the set's order, so that any process finds the same."""
        for load, where in self._all:
            try:
                found = np.flatnonzero(np.bincount(load().ravel(), minlength=256)).tolist()
            except UserError:
                continue  # it is raised where this mask is asked for
            value = self._one_of(found)
            if value is not None and self._plain(found):
                return value, where
        raise AssertionError("asked for by a mask that holds one")

    def _plain(self, found: list[int]) -> bool:
        """Whether a mask holds one value at most that is not stated, where there should be none."""
        return self._labels.others != "error" or sum(value not in self._labels.table for value in found) <= 1

    def _one_of(self, found: list[int]) -> int | None:
        return next((value for value in (1, 255) if value in found and value not in self._labels.table), None)

    def _map_colors(self, values: np.ndarray, where: Path | str) -> np.ndarray:
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
                    mend = "soft edges? save the masks without smoothing, or set options.others: ignore"
                else:
                    mend = "add to options.classes, background or ignore what is missing"
                raise UserError(f"{where}: it holds {found}, and options list {listed}; {mend}")
            mapped[unknown] = IGNORED if known.others == "ignore" else 0
        return mapped

    def _advice(self, found: list[int], unlisted: list[int], table: dict[int, int], counts: np.ndarray) -> str:
        """Which values a mask holds and what to write, so that they mean something."""
        all_of = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        names = self._labels.names
        if len(unlisted) >= _SOFT:
            if len(names) == 1:
                return f"its values are {all_of}: soft edges? set options.threshold: 128, then 128-255 are {names[0]}"
            return (
                f"its values are {all_of}: soft edges? save the masks without smoothing, or set options.others: ignore"
            )
        value, pixels_are = unlisted[0], "1 pixel" if counts[unlisted[0]] == 1 else f"{counts[unlisted[0]]} pixels"
        listed = ", ".join(map(str, sorted(table)))
        example = f"classes: {{{names[0]}: {value}}}, ignore: {value} or background: [0, {value}]"
        what = f"value {value}" if len(found) == 1 else f"values {all_of}"
        return f"{what}: say what {value} ({pixels_are}) is, as {listed} are known: options.{example}"


def raw(path: Path, labels: Labels) -> np.ndarray:
    """The values in a mask's file as they stand: (h, w) uint8, or (h, w, 3) for labels in colors. Raises UserError."""
    jpeg, palette = _kind(path)
    if jpeg and labels.threshold is None:
        hint = ", or set options.threshold: 128" if labels.binary else ""
        raise UserError(f"{path}: a JPEG blurs the labels of a mask; give it as PNG or TIFF{hint}")
    # The indices of a palette of grays are no ids: 0 may stand for white.
    if jpeg or labels.colors or (labels.binary and palette):
        values = image_io.read_image(path)
        if values.ndim == 3 and not labels.colors:
            values = values[..., 0] if (values == values[..., :1]).all() or jpeg else image_io.read_mask(path, _ANY)
        return values
    try:
        values = image_io.read_mask(path, _ANY)
    except UserError as problem:
        if "this one is RGB" not in str(problem):
            raise
        found = ", ".join(shown(code, True) for code in np.unique(_codes(image_io.read_image(path)))[:4])
        raise UserError(f"{path}: it holds colors ({found}, ...); say options.classes: {{name: '#rrggbb'}}") from None
    if labels.threshold is not None and labels.threshold > 1 and values.max() == 1:
        raise UserError(f"{path}: its values are 0 and 1, of which a threshold of {labels.threshold} finds none; drop it")
    return values


def _codes(values: np.ndarray) -> np.ndarray:
    red, green, blue = (image_io.rgb(values)[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def _kind(path: Path) -> tuple[bool, bool]:
    """Whether a file is a JPEG, and whether it is a PNG with a palette: by its first bytes, whatever its name says."""
    try:
        with open(path, "rb") as file:
            head = file.read(26)
    except OSError:
        return False, False  # whoever reads it says why it cannot be read
    return head[:2] == b"\xff\xd8", head[:4] == b"\x89PNG" and head[25:] == b"\x03"
