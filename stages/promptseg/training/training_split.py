"""Splits as the training loop takes them: features, prompts and targets by index and epoch."""

import contextlib
import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from promptseg.data.masks import Region
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

MIN_COVERAGE = 0.5  # share of a target pixel's area that must not be ignored


@dataclass(frozen=True, eq=False)
class TrainingItem:
    """An image with its prompts in one epoch; all that needs no network.

    Attributes:
        index: in its split.
        seed: for what a model samples at random for this image, the same in whichever process.
        transform: of the model.
        prompts: in pixels of the model's input.
        regions: the ground truth of each prompt.
        counted: (h, w) bool, pixels that are not ignored.
        image: (h, w, 3) uint8; None where features are cached.
    """

    index: int
    seed: int
    transform: ImageTransform
    prompts: list[Prompt]
    regions: list[Region]
    counted: np.ndarray
    image: np.ndarray | None
    _targets: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def targets(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets in [0, 1] and weights, 0 for ignored pixels and else 1: (p, side, side) float32 over the input."""
        if side not in self._targets:
            # One region at a time: full-size masks of many instances would not fit into memory.
            target = np.stack([self.transform.from_image(region.full(), side) for region in self.regions])
            if self.counted.all():
                coverage = _content(self.transform, self.counted.shape, side)
            else:
                coverage = self.transform.from_image(self.counted, side)
            weight = np.broadcast_to(coverage >= MIN_COVERAGE, target.shape).astype(np.float32)
            self._targets[side] = target, weight
        return self._targets[side]


class TrainingSplit(ABC):
    """Images by index 0, 1, ... and epoch 1, 2, ...; epoch 0 is validation and the same each time.

    Args:
        segmenter: the model.
        seed: of the study.
    """

    def __init__(self, segmenter: Segmenter, seed: int):
        self.segmenter, self.seed = segmenter, seed
        self._side: int | None = None  # of the model's logits, once it is known
        self._held: dict[int, Features] | None = None  # by index, in `holding_features`

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def id(self, index: int) -> str:
        """Id of an image, for messages."""

    @abstractmethod
    def take(self, index: int, epoch: int) -> TrainingItem:
        """Prepare an image for an epoch; called by several threads at a time."""

    def features(self, items: list[TrainingItem]) -> Features:
        """Features of these items, tensors (len(items), ...) by name."""
        if self._held is None:
            return self._encode(items)
        missing = [item for item in items if item.index not in self._held]
        if missing:
            with torch.autocast(self.segmenter.device.type, enabled=False):  # as they are for a prediction
                encoded = self._encode(missing)
            for row, item in enumerate(missing):
                self._held[item.index] = {name: values[row : row + 1] for name, values in encoded.items()}
        return joined([self._held[item.index] for item in items])

    @contextlib.contextmanager
    def holding_features(self) -> Iterator[None]:
        """Context in which the features of an item are computed once, however often they are asked for."""
        self._held = {}
        try:
            yield
        finally:
            self._held = None

    def _encode(self, items: list[TrainingItem]) -> Features:
        images = [item.image for item in items]
        return self.segmenter.encode(images)  # type: ignore[arg-type]  # where none is cached, all items have images

    def targets(self, items: list[TrainingItem], side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets and weights of all prompts of these items, (m, side, side) each, on the model's device."""
        self._side = side
        values = zip(*(item.targets(side) for item in items), strict=True)
        target, weight = (torch.from_numpy(np.concatenate(part)).to(self.segmenter.device) for part in values)
        return target, weight

    def make_item(
        self, index: int, epoch: int, prompts: list[Prompt], regions: list[Region], counted: np.ndarray,
        image: np.ndarray | None,
    ) -> TrainingItem:  # fmt: skip
        """Make an item of prompts in pixels of the image; its targets are made as well, once their size is known."""
        digest = hashlib.sha256(f"{self.seed}/draw/{self.id(index)}/epoch{epoch}".encode()).digest()
        item_seed = int.from_bytes(digest[:8], "big") >> 1
        transform = self.segmenter.transform
        inputs = [prompt.to_model(transform, *counted.shape) for prompt in prompts]
        item = TrainingItem(index, item_seed, transform, inputs, regions, counted, image)
        if self._side and regions:
            item.targets(self._side)
        return item


def joined(parts: list[Features]) -> Features:
    """Features of several images as one batch."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@functools.lru_cache(maxsize=64)
def _content(transform: ImageTransform, shape: tuple[int, int], side: int) -> np.ndarray:
    """Coverage of the input by an image of this shape without ignored pixels; most images share it."""
    return transform.from_image(np.ones(shape, bool), side)
