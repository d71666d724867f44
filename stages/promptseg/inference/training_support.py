"""Support images that a run takes from the training split: `support: {from: train, shots: k}`."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import records
from promptseg.data.nested_subset import nested_subset, seeded_order
from promptseg.prompts import PromptConfig
from promptseg.prompts.support import FromTraining, SupportImage

# Share of the image that a class should cover: a crop to a smaller object has few pixels, and a larger object leaves
# little that it could be told apart from.
MIN_AREA, MAX_AREA = 0.01, 0.5


@dataclass(frozen=True, eq=False)
class TrainingSupport:
    """Support images of each class; all images of a run are prompted with the same ones.

    Attributes:
        shots: support images of a class, where the training split has so many.
        by_class: for each class the ids of training records and their images, in the order of preference; one more than
            `shots`, so that a record that is trained on is not shown to itself.
    """

    shots: int
    by_class: dict[int, list[tuple[str, SupportImage]]]

    def for_record(self, id: str) -> dict[int, tuple[SupportImage, ...]]:
        """The support images of each class for a record, which is never one of them. id: of the record."""
        return {
            target: tuple(image for own, image in found if own != id)[: self.shots]
            for target, found in self.by_class.items()
        }


def choose(prompt: PromptConfig, train: Path, fraction: float = 1.0) -> TrainingSupport | None:
    """Choose the support images of a run.

    Those of a class are the first in an order of the training records that depends on the study's seed and the class
    alone: first records of which the class covers MIN_AREA to MAX_AREA, then others that show it.

    Args:
        prompt: of the run.
        train: Parquet shards of the training split.
        fraction: share of the training groups that the run was trained on; only these are used.

    Returns:
        The support images; None where the prompt takes none from the training split.

    Raises:
        UserError: no training record has foreground.
    """
    if not isinstance(prompt.support, FromTraining):
        return None
    split = records.open_split(train, ("image", "support_image", "support_mask"))
    foreground, classes = split.column("foreground"), split.metadata.get("classes", [])
    seed = split.metadata.get("seed", 0)
    candidates = [index for index in nested_subset(split.column("group"), fraction, seed) if foreground[index]]
    if not candidates:
        raise UserError(
            f"{train}: no image has a mask, as `support: {{from: train}}` needs; prompt by text, or add training images"
        )
    ids = split.column("id")
    position = {ids[index]: index for index in candidates}
    # Masks are decoded in that order until enough are found, each at most once for all classes.
    areas = functools.cache(lambda index: _areas(records.mask(split[index]), len(classes)))
    images = records.open_split(train, ("support_image", "support_mask"))
    by_class = {}
    for target, name in enumerate(classes, 1):
        order = [position[id] for id in seeded_order(position, f"{seed}/support/{name}")]
        chosen = _first(((index, areas(index)[target - 1]) for index in order), prompt.support.shots + 1)
        by_class[target] = [(ids[index], _support_image(images[index], target)) for index in chosen]
    return TrainingSupport(prompt.support.shots, by_class)


def own_support(record: records.Record, classes: int) -> dict[int, tuple[SupportImage, ...]]:
    """The support image of a record of a one-shot dataset, for each class that it shows.

    Args:
        record: with its support image.
        classes: number of classes.

    Raises:
        UserError: the record has none.
    """
    image, mask = records.support(record)
    shown = [target for target in range(1, classes + 1) if np.any(mask == target)]
    return {target: (SupportImage(image, mask == target),) for target in shown}


def _first(order: Iterable[tuple[int, float]], count: int) -> list[int]:
    """The first records that show a class, those with a suitable area before others. order: records and areas."""
    suitable: list[int] = []
    others: list[int] = []
    for index, area in order:
        if MIN_AREA <= area <= MAX_AREA:
            suitable.append(index)
        elif area > 0:
            others.append(index)
        if len(suitable) == count:
            break
    return (suitable + others)[:count]


def _areas(mask: np.ndarray, classes: int) -> np.ndarray:
    """Share of the pixels of each class, (classes,) float32."""
    counts = np.bincount(mask.reshape(-1), minlength=classes + 1)[1 : classes + 1]
    return (counts / mask.size).astype(np.float32)


def _support_image(record: records.Record, target: int) -> SupportImage:
    return SupportImage(records.image(record), records.mask(record) == target)
