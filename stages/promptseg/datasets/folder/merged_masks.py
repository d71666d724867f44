"""Several mask files of one image: each is an instance, or holds one class, whose instances it may number."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from promptseg.core.errors import UserError
from promptseg.datasets.folder.labels import IGNORED
from promptseg.datasets.folder.mask_reader import Mask
from promptseg.datasets.folder.mask_values import Notes

_MAX_INSTANCES = 65_535  # that can be told apart
_ALIKE = 0.5  # of a mask's pixels in another one of its class: two annotations of one object, perhaps


@dataclass(frozen=True)
class Part:
    """A mask file of an image. label: of the class that it holds; None: as its values say."""

    mask: Mask
    label: int | None = None


def merge(parts: list[Part], instances: bool, notes: Notes) -> Mask:
    """Merge the mask files of an image.

    Where files overlap, a pixel belongs to the last class, and within a class to the smallest instance.

    Args:
        parts: at least one, in natural order of their names.
        instances: each file is an instance; else instances are those that files number.
        notes: where to say so.

    Returns:
        The mask, which raises UserError where files differ in size or seem to show the same object.
    """
    painted = partial(_paint, parts, instances, notes)
    return Mask(lambda: painted()[0], lambda: painted()[1], parts[0].mask.where)


def _paint(parts: list[Part], instances: bool, notes: Notes) -> tuple[np.ndarray, np.ndarray | None]:
    """The labels, (h, w) uint8, and the instances, (h, w) uint16, 0 where no file numbers them; None: nowhere."""
    first = parts[0].mask()
    labels = np.zeros(first.shape, np.uint8)
    numbers, area = np.zeros(first.shape, int), np.zeros(first.shape, int)
    known = False
    for number, part in enumerate(parts, 1):
        values = part.mask() if number > 1 else first
        if part.label is not None:
            values = np.where(values == 1, np.uint8(part.label), values)
        if values.shape != labels.shape:
            sizes = "x".join(map(str, values.shape[::-1])), "x".join(map(str, labels.shape[::-1]))
            raise UserError(f"{part.mask.where}: it is {sizes[0]}, and {parts[0].mask.where} is {sizes[1]}")
        inside = (values > 0) & (values != IGNORED)
        size = int(np.count_nonzero(inside))
        if instances and size:
            _check_different(parts, numbers[inside & (labels == values)], number, size)
        free = (labels == 0) | (labels == IGNORED)
        over = inside & (free | (values > labels) | ((values == labels) & (size < area)))
        own = np.full(first.shape, number) if instances else _numbered(part, int(numbers.max()))
        known |= own is not None
        labels[over], numbers[over], area[over] = values[over], 0 if own is None else own[over], size
        labels[(values == IGNORED) & (labels == 0)] = IGNORED
    if instances and len(parts) > 1:
        notes.say("files", f"{parts[0].mask.where}: one of {len(parts)} masks of an image; each is read as an instance")
    return labels, numbers.astype(np.uint16) if known else None


def _numbered(part: Part, last: int) -> np.ndarray | None:
    """The instances of one mask file, counted on from the last number of those before; None where it tells none."""
    found = part.mask.instances()
    if found is None:
        return None
    if last + int(found.max()) > _MAX_INSTANCES:
        what = f"more than {_MAX_INSTANCES:,} instances in the masks of one image, which cannot be told apart"
        raise UserError(f"{part.mask.where}: {what}; cut the image into tiles first")
    return np.where(found > 0, found.astype(int) + last, 0)


def _check_different(parts: list[Part], below: np.ndarray, number: int, size: int) -> None:
    """Raise UserError where a mask shows what another one of the image shows. below: numbers under its pixels."""
    counts = np.bincount(below, minlength=1)
    counts[0] = 0
    if counts.max() > _ALIKE * size:
        other, mask = parts[int(counts.argmax()) - 1].mask.where, parts[number - 1].mask.where
        share = f"{100 * counts.max() / size:.0f} %"
        raise UserError(
            f"{mask}: {share} of it is in {other}; if both show the same object, take one out of options.masks"
        )
