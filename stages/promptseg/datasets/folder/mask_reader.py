"""Reading of a user's masks: every value must have a stated or unambiguous meaning.

Masks of 0 and 255 that are read as ids are a frequent cause of an IoU of 0, and soft edges that are taken at face value
enlarge or shrink every object. Both raise a UserError that lists the values found and the option to set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.datasets.folder import instance_ids, value_mapping
from promptseg.datasets.folder.instance_ids import Evidence
from promptseg.datasets.folder.labels import IGNORED, Labels
from promptseg.datasets.folder.mask_values import Notes, ValueReader


@dataclass(frozen=True)
class Mask:
    """A mask that is read when it is called.

    Attributes:
        read: returns (h, w) uint8, 0 background, i class i, 255 ignored; raises UserError where a value has no meaning.
        instances: returns (h, w) uint16, the number of the instance at each pixel and 0 elsewhere; None where the mask
            does not tell instances apart. Raises likewise.
        where: name of the mask, for messages.
    """

    read: Callable[[], np.ndarray]
    instances: Callable[[], np.ndarray | None]
    where: Path | str

    def __call__(self) -> np.ndarray:
        """Read the mask."""
        return self.read()


class MaskReader:
    """Reader of all masks of a dataset.

    Where the value of the only class is not stated, it is 1 or 255, the same in all masks; or each value is an
    instance.

    Args:
        labels: meaning of the values.
        instances: whether each value is an instance of the only class; None: where it is unambiguous.
        notes: where to say how unusual masks are read.
    """

    def __init__(self, labels: Labels, instances: bool | None = None, notes: Notes | None = None):
        self._labels, self._instances = labels, instances
        self._all: list[tuple[Callable[[], np.ndarray], Path | str]] = []
        self._notes = notes or Notes()
        self._files = ValueReader(labels, self._notes)
        self._evidence: dict[int, Evidence | None] = {}  # of masks that have been read, by number

    def add_file(self, path: Path) -> Mask:
        """Add a mask file, PNG or TIFF; with a threshold also JPEG."""
        self._files.add(path)
        return self.add(partial(self._files.read, path), path)

    def add(self, load: Callable[[], np.ndarray], where: Path | str) -> Mask:
        """Add a mask from any source.

        Args:
            load: returns the values, (h, w) integers or (h, w, 3) uint8; bool where the class is all that is not 0.
            where: name of the mask, for messages.
        """
        number = len(self._all)
        self._all.append((load, where))
        return Mask(partial(self._read, number), partial(self._read_instances, number), where)

    def _read(self, number: int) -> np.ndarray:
        """Read a mask and map its values to labels."""
        (load, where), known = self._all[number], self._labels
        values = load()
        if known.colors:
            return value_mapping.map_colors(values, known, where)
        if known.threshold is not None:
            return (values >= known.threshold).astype(np.uint8)
        if values.dtype == bool:
            self._evidence[number] = None
            return values.astype(np.uint8)
        found = value_mapping.count(values)
        table = dict(known.table)
        ids = [value for value in found if value not in table]
        if self._numbers_instances(number, values, ids):
            return self._all_instances(number, values, ids)
        if known.binary:
            table |= self._class_value(list(found), where)
        if known.others == "error" and any(value not in table for value in found):
            raise UserError(f"{where}: {value_mapping.explain(values, found, table, known)}")
        return value_mapping.mapped(values, table, IGNORED if known.others == "ignore" else 0)

    def _read_instances(self, number: int) -> np.ndarray | None:
        """Read the instances of a mask."""
        known = self._labels
        if not known.binary or known.threshold is not None or self._instances is False or known.others != "error":
            return None
        if not self._instances and not self._decisive:
            return None
        load, where = self._all[number]
        values = load()
        ids = [value for value in value_mapping.count(values) if value not in known.table]
        try:
            return instance_ids.numbered(values, ids, set(known.table))
        except ValueError as error:
            raise UserError(f"{where}: {error}; cut the image into tiles first") from None

    def _numbers_instances(self, number: int, values: np.ndarray, ids: list[int]) -> bool:
        """Whether each unlisted value of a mask is an instance; 1 or 255 alone is the class in any case."""
        known = self._labels
        if not known.binary or self._instances is False or known.others != "error" or not ids:
            return False
        if self._instances:
            return True
        self._evidence[number] = instance_ids.evidence(values, ids, set(known.table))
        return ids not in ([1], [255]) and bool(self._decisive)

    @cached_property
    def _decisive(self) -> Evidence:
        """Whether masks number instances: as the first one with several values says, so the same in any process."""
        listed = set(self._labels.table)
        for number, (load, _) in enumerate(self._all):
            if number not in self._evidence:
                try:
                    values = load()
                except UserError:
                    continue  # raised again when this mask is read
                ids = [value for value in value_mapping.count(values) if value not in listed]
                self._evidence[number] = instance_ids.evidence(values, ids, listed)
            if (found := self._evidence[number]) is not None:
                return found
        return Evidence.AGAINST

    def _all_instances(self, number: int, values: np.ndarray, ids: list[int]) -> np.ndarray:
        """Map ids to the only class. Raises UserError where a mask has other values than those before."""
        known, where = self._labels, self._all[number][1]
        name = known.names[0]
        own = self._instances or self._evidence[number]
        if not (own or instance_ids.agree(values, ids, set(known.table), self._decisive)):
            found = ", ".join(map(str, ids[:8])) + (", ..." if len(ids) > 8 else "")
            raise UserError(
                f"{where}: its values {found} have gaps or are in many pieces, where other masks number instances; "
                f"set options.instances: true if each value is one {name}"
            )
        if len(ids) > 1:
            self._notes.say("ids", f"{where}: {len(ids):,} ids are read as instances of {name}, and so in all masks")
        return value_mapping.mapped(values, known.table, 1)

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
                values = load()
            except UserError:
                continue  # raised again when this mask is read
            if values.dtype == bool:
                continue
            found = list(value_mapping.count(values))
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
