"""Records and predictions, one row of a Parquet file each; pandas opens the files.

The predictions of a run are one file. A prepared split is a folder of shards, `test.parquet/00000.parquet` and so on,
each of some tens of megabytes, so that several processes can write it and no file grows with the dataset.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import class_order, image_io
from promptseg.data.record_files import SHARDS as SHARDS
from promptseg.data.record_files import RecordReader as RecordReader
from promptseg.data.record_files import RecordWriter as RecordWriter
from promptseg.data.record_files import shard_path as shard_path


@dataclass(frozen=True)
class Record:
    """An image or a tile, and its mask.

    Attributes:
        id: unique within the split.
        group: what must not be split between training and test (stack, sequence, patient, city).
        image: PNG or JPEG bytes.
        mask: PNG bytes, 0 background, i class i, 255 ignored.
        height: of image and mask, in pixels.
        width: of image and mask, in pixels.
        source: id of the image that this is, or that the tile was cut from.
        top: first row of the tile in the source image.
        left: first column of the tile in the source image.
        source_height: height of the source image, for putting tiles back together.
        source_width: width of the source image.
        foreground: number of pixels of the mask that are of any class, labelled 1 to 254. Records of 0 are empty: they
            are in the test split, for false alarms, and nothing in them can be prompted for by the ground truth.
        text: what the mask shows, in words, where that differs from record to record; otherwise empty.
        support_image: PNG bytes of another image of the same class, for one-shot models; otherwise empty.
        support_mask: PNG bytes of its mask; otherwise empty.
        instances: PNG bytes, uint16, the number of the instance at each pixel of a class and 0 elsewhere, where the
            source tells instances apart; otherwise empty.
        image_digest: `digest` of `image`, by which records that share one (the phrases of a photo) are encoded once;
            empty: this record shares it with none.
    """

    id: str
    group: str
    image: bytes = field(metadata={"shared": True})
    mask: bytes
    height: int
    width: int
    source: str
    top: int
    left: int
    source_height: int
    source_width: int
    foreground: int = field(kw_only=True)
    text: str = ""
    support_image: bytes = b""
    support_mask: bytes = b""
    instances: bytes = b""
    image_digest: str = ""


@dataclass(frozen=True)
class Prediction:
    """Prediction of a model for one record.

    Attributes:
        id: of the record.
        probability: PNG bytes of (classes * h, w) uint8, the probability maps of the classes one below the other, as
            `quantize` makes them. For point clouds p is relative to the most probable class.
        prompts: the prompts of the model, as JSON; those of a detector with the boxes that it found for each
            (`inference.detections`).
        generated_masks: masks of automatic mask generation (`generated_masks.to_json`); they have no classes, and
            `probability` is empty then. Otherwise "".
        sweep: of a run in several steps, as JSON, `counts`: tp, fp and fn by step and class, and `objects`: of clicks,
            the IoU of each object by step. Otherwise "".
    """

    id: str
    probability: bytes
    prompts: str
    generated_masks: str = ""
    sweep: str = ""


@dataclass(frozen=True)
class UnpackedPrediction(Prediction):
    """A prediction that is scored and never written. values: (classes, h, w) uint8, in place of `probability`."""

    values: np.ndarray = field(kw_only=True)


def open_split(path: Path, without: tuple[str, ...] = ()) -> RecordReader:
    """Open a split of a prepared dataset; see `RecordReader`."""
    return RecordReader(path, Record, without)


def open_predictions(path: Path) -> RecordReader:
    """Open the predictions of a run; see `RecordReader`."""
    return RecordReader(path, Prediction)


def digest(image: bytes) -> str:
    """Hex digest of an image file; of a million images two different ones have the same with a chance of 1e-17."""
    return hashlib.blake2b(image, digest_size=12).hexdigest()


def image(record: Record) -> np.ndarray:
    """Decode the image of a record, (h, w, 3) uint8."""
    return image_io.to_rgb(image_io.decode_image(record.image))


def mask(record: Record) -> np.ndarray:
    """Decode the mask of a record, (h, w) uint8."""
    return image_io.decode_image(record.mask)


def instances(record: Record) -> np.ndarray | None:
    """Decode the instances of a record, (h, w) uint16; None where it has none of its own."""
    return image_io.decode_image(record.instances).astype(np.uint16) if record.instances else None


def support(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Decode the support image, (h, w, 3) uint8, and its mask, (h, w) uint8. Raises UserError where there is none."""
    if not record.support_image:
        raise UserError(
            f"{record.id}: the dataset has no support image for it, as `support: true` needs; prompt by text"
        )
    return image_io.to_rgb(image_io.decode_image(record.support_image)), image_io.decode_image(record.support_mask)


def quantize(probability: np.ndarray, best: np.ndarray | None = None) -> np.ndarray:
    """Quantize probability maps to eight bits: min(255, floor(256 p)).

    So p >= t exactly where value >= 256 t, for thresholds t that are multiples of 1 / 256. Confident classes would tie
    at 255 from a logit of 5.5 on, so where `best` is given it keeps its value, and those that would equal it get one
    less: the class with the highest value is the one with the highest logit.

    Args:
        probability: (classes, h, w) float in [0, 1].
        best: (h, w) uint8, index of the class with the highest logit.

    Returns:
        (classes, h, w) uint8.
    """
    values = np.empty(probability.shape, np.uint8)
    for plane, out in zip(probability, values):
        np.minimum(plane * 256, 255, out=out, casting="unsafe")  # a cast to integers rounds down
    if best is not None:
        class_order.put_best_above(values, best)
    return values


def pack(probability: np.ndarray, best: np.ndarray | None = None) -> bytes:
    """Encode probability maps as `Prediction.probability`. Arguments as for `quantize`."""
    values = quantize(probability, best)
    return image_io.encode_png(values.reshape(-1, values.shape[-1]))


def unpack(prediction: Prediction, classes: int) -> np.ndarray:
    """Decode `Prediction.probability`: (classes, h, w) uint8."""
    if isinstance(prediction, UnpackedPrediction):
        return prediction.values
    values = image_io.decode_image(prediction.probability)
    return values.reshape(classes, -1, values.shape[-1])
