"""Splits as the training loop takes them: features, prompts and targets by index and epoch."""

import contextlib
import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from promptseg import prompts
from promptseg.core.devices import Processes
from promptseg.core.train_config import Augment
from promptseg.data import records
from promptseg.data.masks import Region
from promptseg.data.records import RecordReader
from promptseg.inference import embedding_cache
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt, PromptConfig, PromptSource
from promptseg.training import augmentation

IMAGE_COLUMNS = ("image", "support_image", "support_mask")
MASK_CACHE_BYTES = 1 << 28  # of decoded masks
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
        return _joined([self._held[item.index] for item in items])

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


class RecordSplit(TrainingSplit):
    """Records of a split, prompted and augmented anew in each epoch but not in epoch 0.

    Images are encoded when they are used, until `cache_features`.

    Args:
        path: Parquet shards of the split.
        segmenter: the model.
        prompt: settings of the prompts.
        augment: settings of the augmentation, or None.
        seed: of the study.
    """

    def __init__(
        self, path: Path, segmenter: Segmenter, prompt: PromptConfig, augment: Augment | None, seed: int
    ):  # fmt: skip
        super().__init__(segmenter, seed)
        self._path, self._prompt, self._augment = path, prompt, augment
        self._records: RecordReader = records.open_split(path)
        self.classes = self._records.metadata["classes"]
        # Indexes -> features, where they are cached or pinned.
        self._stored_features: Callable[[list[int]], Features] | None = None
        first = self._records[0] if len(self._records) else None
        size = MASK_CACHE_BYTES // (first.height * first.width) if first else 0
        self._mask = functools.lru_cache(max(size, 1))(lambda index: records.mask(self._records[index]))

    def __len__(self) -> int:
        return len(self._records)

    def id(self, index: int) -> str:
        """Id of a record."""
        return self._records[index].id

    @property
    def cacheable(self) -> bool:
        """Whether features are the same in each epoch, so that they can be cached."""
        return self._augment is None and self.segmenter.CACHED and not self.segmenter.encoder_trainable

    def count_missing(self, checkpoint: str, cache: Path) -> int:
        """Number of images that `cache_features` would encode."""
        return embedding_cache.count_missing(self.segmenter, self._source(checkpoint, cache)) if self.cacheable else 0

    def cache_features(self, checkpoint: str, cache: Path, processes: Processes) -> None:
        """Encode all images now, if their features are cacheable, and read these from now on.

        Args:
            checkpoint: digest of the weights that encode.
            cache: folder of the embedding caches.
            processes: all of them must call this.
        """
        if self.cacheable and len(self):
            source = self._source(checkpoint, cache)
            self._stored_features = embedding_cache.features(self.segmenter, source, processes)
            self._records = records.open_split(self._path, IMAGE_COLUMNS[:1] if self._prompt.support else IMAGE_COLUMNS)

    def pin_features(self, items: list[TrainingItem]) -> None:
        """Encode these items one by one and hold their features in memory, as stand-ins for cached ones."""
        self.unpin_features()
        pinned = {item.index: self.features([item]) for item in items}
        self._stored_features = lambda indexes: _joined([pinned[i] for i in indexes])

    def unpin_features(self) -> None:
        """Encode images when they are used again."""
        self._stored_features = None

    def features(self, items: list[TrainingItem]) -> Features:
        """Features of a batch, from the cache where they are stored."""
        if self._stored_features is not None:
            return self._stored_features([item.index for item in items])
        return super().features(items)

    def take(self, index: int, epoch: int) -> TrainingItem:
        """One record, augmented for an epoch."""
        record = self._records[index]
        id = f"{record.id}/epoch{epoch}"
        image = records.image(record) if self._stored_features is None else None
        mask = self._mask(index)
        instances = records.instances(record) if self._prompt.per == "instance" else None
        if self._augment and epoch and image is not None:
            if instances is not None:  # uncovered pixels are ignored in the mask, whatever they become here
                _, instances = augmentation.augment(image, instances, self._augment, self.seed, id)
            image, mask = augmentation.augment(image, mask, self._augment, self.seed, id)
        support = records.support(record) if self._prompt.support else None
        words = self._records.metadata.get("words", ())
        source = PromptSource(id, mask, self.classes, self.seed, record.text, support, words=words, instances=instances)
        image_prompts, regions = prompts.build_prompts(self._prompt, source)
        return self.make_item(index, epoch, image_prompts, regions, mask != augmentation.IGNORED, image)

    def _source(self, checkpoint: str, cache: Path) -> embedding_cache.Source:
        return embedding_cache.Source(self._path, self._records, checkpoint, cache)


def _joined(parts: list[Features]) -> Features:
    """Features of several images as one batch."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@functools.lru_cache(maxsize=64)
def _content(transform: ImageTransform, shape: tuple[int, int], side: int) -> np.ndarray:
    """Coverage of the input by an image of this shape without ignored pixels; most images share it."""
    return transform.from_image(np.ones(shape, bool), side)
