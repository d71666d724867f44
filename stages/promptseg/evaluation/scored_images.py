"""Images to score: a split and the predictions for it, with tiles put together again where images are scored."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from promptseg import prompts
from promptseg.core.errors import UserError
from promptseg.data import class_order, generated_masks, records
from promptseg.data.image_io import IGNORED
from promptseg.data.records import RecordReader
from promptseg.data.tiling import Blender, Window
from promptseg.evaluation import mask_matching
from promptseg.prompts import Prompt


@dataclass(frozen=True)
class ScoredImage:
    """An image with its ground truth and prediction.

    Attributes:
        id: of the record, or of the source image of tiles.
        group: of the image, for intervals.
        image: (h, w, 3) uint8; black where the split was opened without its images.
        target: (h, w) uint8, 0 background, i class i, 255 ignored. The image is empty where no pixel is 1 to 254: of
            one that was put together, where none of its tiles has any.
        probability: (K, h, w) uint8, floor(256 p); with automatic masks their union by class, 255 or 0.
        prompts: in pixels of the image.
        best_single: (segments,) float64, IoU of the best single automatic mask with each true segment, tile by tile
            (`mask_matching.Match`); or None.
        mask_numbers: (h, w) int32, number of the automatic mask at each pixel, 0 for none; or None.
    """

    id: str
    group: str
    image: np.ndarray
    target: np.ndarray
    probability: np.ndarray
    prompts: list[Prompt]
    best_single: np.ndarray | None = None
    mask_numbers: np.ndarray | None = None


class ScoredImages:
    """The images to score, as the setting `score` of the dataset says.

    `image`: the source images of the records. Tiles are put together, and blended where they overlap, so that no pixel
    is counted twice; pixels that no tile of the split covers are ignored. `tile`: each record by itself, so that pixels
    count as often as tiles share them. Images are read when they are indexed, none is held.

    Args:
        split: records; `score` is in its metadata.
        predictions: one for each record, in the same order.

    Raises:
        UserError: the predictions are of another split.
    """

    def __init__(self, split: RecordReader, predictions: RecordReader):
        self._split, self._predictions, self._classes = split, predictions, len(split.metadata["classes"])
        if split.column("id") != predictions.column("id"):
            raise UserError(f"{predictions.path}: predictions for another split than {split.path}; run `dvc repro`")
        self._join = split.metadata["score"] == "image"
        indices: dict[str, list[int]] = {}  # of the records of each image, in the order of their first ones
        for index, unit in enumerate(split.column("source" if self._join else "id")):
            indices.setdefault(unit, []).append(index)
        self._ids, self._indices = list(indices), list(indices.values())

    @property
    def ids(self) -> list[str]:
        """Id of each image."""
        return self._ids

    @property
    def indices(self) -> list[list[int]]:
        """For each image, the indices of its records."""
        return self._indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> ScoredImage:
        indices = self._indices[index]
        return self._join_tiles(indices) if self._join else self._record(indices[0])

    def __iter__(self) -> Iterator[ScoredImage]:
        return (self[index] for index in range(len(self)))

    def _record(self, index: int) -> ScoredImage:
        record, prediction = self._split[index], self._predictions[index]
        target, image_prompts = records.mask(record), prompts.from_json(prediction.prompts)
        image = records.image(record) if record.image else np.zeros((*target.shape, 3), np.uint8)
        about = record.id, record.group, image, target
        if not prediction.generated_masks:
            return ScoredImage(*about, self._probability(record, prediction), image_prompts)
        try:
            segmentations = generated_masks.segmentations(prediction.generated_masks, *target.shape)
            match = mask_matching.match(target, segmentations, self._classes, records.instances(record))
        except UserError as error:
            raise UserError(f"{self._predictions.path}: {record.id}: {error}") from None
        return ScoredImage(*about, match.union, image_prompts, match.best_single, match.mask_numbers)

    def _probability(self, record: records.Record, prediction: records.Prediction) -> np.ndarray:
        """The probability maps, (classes, h, w) uint8. Raises UserError if number or size differ from the record's."""
        expected = (self._classes, record.height, record.width)
        try:
            probability = records.unpack(prediction, self._classes)
        except ValueError:  # the rows are not a multiple of the number of classes
            probability = np.empty(0)
        if probability.shape != expected:
            raise UserError(
                f"{self._predictions.path}: {record.id}: the prediction should be {expected} by classes and image;"
                " delete this file and run `dvc repro`"
            )
        return probability

    def _join_tiles(self, indices: list[int]) -> ScoredImage:
        first = self._split[indices[0]]
        size = first.source_height, first.source_width
        if (first.height, first.width) == size and len(indices) == 1:  # to blend it would change nothing
            return replace(self._record(indices[0]), id=first.source)
        blender, best_single = Blender(*size, self._classes), []
        mask_numbers = np.zeros(size, np.int32)
        image, target = np.zeros((*size, 3), np.uint8), np.full(size, IGNORED, np.uint8)
        image_prompts = []
        for index in indices:
            record, tile = self._split[index], self._record(index)
            window = Window(record.top, record.left, record.height, record.width)
            blender.add(tile.probability, window)
            image[window.rows, window.columns] = tile.image
            window.of(target)[:] = tile.target
            image_prompts += [prompt.translate(record.left, record.top) for prompt in tile.prompts]
            if tile.best_single is not None and tile.mask_numbers is not None:
                best_single.append(tile.best_single)
                shifted = np.where(tile.mask_numbers > 0, tile.mask_numbers + mask_numbers.max(), 0)
                window.of(mask_numbers)[:] = shifted
        joined = ScoredImage(first.source, first.group, image, target, _rounded(blender), image_prompts)
        if not best_single:
            return joined
        return replace(joined, best_single=np.concatenate(best_single), mask_numbers=mask_numbers)


def _rounded(blender: Blender) -> np.ndarray:
    """Blended values in eight bits, in which the highest class stays above those that were lower before rounding."""
    values, _ = blender.result()
    rounded = np.round(values).astype(np.uint8)
    if len(values) > 1:
        highest = class_order.best_class(values)[1]
        top = np.round(highest).astype(np.uint8)
        for plane, out in zip(values, rounded, strict=True):
            out -= (plane < highest) & (out == top) & (top > 0)
    return rounded
