"""Records of a prepared split as the training loop takes them."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from promptseg import prompts
from promptseg.core.devices import Processes
from promptseg.core.train_config import Augment
from promptseg.data import records
from promptseg.data.records import Record, RecordReader
from promptseg.inference import embedding_cache, embedding_source
from promptseg.inference.training_support import TrainingSupport, own_support
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import PromptConfig, PromptSource
from promptseg.training import augmentation
from promptseg.training.training_split import TrainingItem, TrainingSplit, joined

IMAGE_COLUMNS = ("image", "support_image", "support_mask")
MASK_CACHE_BYTES = 1 << 28  # of decoded masks


class RecordSplit(TrainingSplit):
    """Records of a split, prompted and augmented anew in each epoch but not in epoch 0.

    Images are encoded when they are used, until `cache_features`.

    Args:
        path: Parquet shards of the split.
        segmenter: the model.
        prompt: settings of the prompts.
        augment: settings of the augmentation, or None.
        seed: of the study.
        support: support images of the training split, where the prompt takes them.
        used: indexes of the records that are the images of this split; None: all.
    """

    def __init__(
        self, path: Path, segmenter: Segmenter, prompt: PromptConfig, augment: Augment | None, seed: int,
        support: TrainingSupport | None = None, used: Sequence[int] | None = None,
    ):  # fmt: skip
        super().__init__(segmenter, seed)
        self._path, self._prompt, self._augment, self._support = path, prompt, augment, support
        self._records: RecordReader = records.open_split(path)
        self._used = range(len(self._records)) if used is None else used
        self.classes = self._records.metadata["classes"]
        # Indexes -> features, where they are cached or pinned.
        self._stored_features: Callable[[list[int]], Features] | None = None
        first = self._record(0) if len(self) else None
        size = MASK_CACHE_BYTES // (first.height * first.width) if first else 0
        self._mask = functools.lru_cache(max(size, 1))(lambda index: records.mask(self._record(index)))

    def __len__(self) -> int:
        return len(self._used)

    def id(self, index: int) -> str:
        """Id of a record."""
        return self._record(index).id

    @property
    def source_images(self) -> int:
        """Number of images before they were cut into tiles, which is how many somebody had to label."""
        sources = self._records.column("source")
        return len({sources[index] for index in self._used})

    @property
    def cacheable(self) -> bool:
        """Whether features are the same in each epoch, so that they can be cached."""
        return self._augment is None and self.segmenter.CACHED and not self.segmenter.encoder_trainable

    def count_missing(self, checkpoint: str, cache: Path) -> int:
        """Number of images that `cache_features` would encode."""
        if not self.cacheable:
            return 0
        return embedding_cache.count_missing(self.segmenter, self._source(checkpoint, cache), self._used)

    def cache_features(self, checkpoint: str, cache: Path, processes: Processes) -> None:
        """Encode all images now, if their features are cacheable, and read these from now on.

        Args:
            checkpoint: digest of the weights that encode.
            cache: folder of the embedding caches.
            processes: all of them must call this.
        """
        if self.cacheable and len(self):
            source = self._source(checkpoint, cache)
            stored = embedding_cache.features(self.segmenter, source, processes, self._used)
            self._stored_features = lambda indexes: stored([self._used[i] for i in indexes])
            unused = IMAGE_COLUMNS[:1] if self._prompt.support is True else IMAGE_COLUMNS
            self._records = records.open_split(self._path, unused)

    def pin_features(self, items: list[TrainingItem]) -> None:
        """Encode these items one by one and hold their features in memory, as stand-ins for cached ones."""
        self.unpin_features()
        pinned = {item.index: self.features([item]) for item in items}
        self._stored_features = lambda indexes: joined([pinned[i] for i in indexes])

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
        record = self._record(index)
        id = f"{record.id}/epoch{epoch}"
        image = records.image(record) if self._stored_features is None else None
        mask = self._mask(index)
        instances = records.instances(record) if self._prompt.of_instances else None
        if self._augment and epoch and image is not None:
            if instances is not None:  # uncovered pixels are ignored in the mask, whatever they become here
                _, instances = augmentation.augment(image, instances, self._augment, self.seed, id)
            image, mask = augmentation.augment(image, mask, self._augment, self.seed, id)
        support = self._support.for_record(record.id) if self._support else {}
        if self._prompt.support is True:
            support = own_support(record, len(self.classes))
        words = self._records.metadata.get("words", ())
        source = PromptSource(id, mask, self.classes, self.seed, record.text, support, words=words, instances=instances)
        image_prompts, regions = prompts.build_prompts(self._prompt, source)
        return self.make_item(index, epoch, image_prompts, regions, mask != augmentation.IGNORED, image)

    def _record(self, index: int) -> Record:
        return self._records[self._used[index]]

    def _source(self, checkpoint: str, cache: Path) -> embedding_source.Source:
        return embedding_source.Source(self._path, self._records, checkpoint, cache)
