"""The images of a run with ground truth, predictions and scores, one at a time, for the formats of masks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import image_io, masks, records
from promptseg.data.masks import Region
from promptseg.data.tiling import Window
from promptseg.evaluation import counts
from promptseg.evaluation.scored_images import ScoredImage, ScoredImages
from promptseg.export.run import ExportedRun

THRESHOLD = 0.5  # of the masks and of the IoU in the table of scores


@dataclass(frozen=True)
class LabelMap:
    """Labels of an image, ground truth or predicted.

    Attributes:
        labels: (h, w) uint8, 0 background, i class i; in ground truth 255 ignored.
        instances: (h, w) uint16, the number of the instance at each pixel, 0 where it is not known and connected
            components take its place; None: instances are not told apart.
    """

    labels: np.ndarray
    instances: np.ndarray | None

    def regions(self, classes: int) -> list[tuple[int, Region]]:
        """The class and the region of each instance, or of each class where instances are not told apart."""
        return [
            (label, region)
            for label in range(1, classes + 1)
            for region in masks.regions(self.labels == label, self.instances is not None, self.instances)
        ]


@dataclass(frozen=True)
class ExportedImage:
    """An image with its masks.

    Attributes:
        id: of the image, or of the tile where tiles are scored.
        group: of the image.
        name: path for its files without suffix, relative and with `/`; unique.
        image: bytes of a PNG or JPEG file.
        suffix: of that file.
        target: ground truth.
        predicted: prediction at THRESHOLD.
        probability: (K, h, w) uint8, floor(256 p).
        iou: mean over the classes in the ground truth; None where it has none.
    """

    id: str
    group: str
    name: str
    image: bytes
    suffix: str
    target: LabelMap
    predicted: LabelMap
    probability: np.ndarray
    iou: float | None

    def write_image(self, folder: Path) -> str:
        """Write the image into a folder; returns its path there."""
        return write_file(folder, f"{self.name}{self.suffix}", self.image)


def images(run: ExportedRun) -> Iterator[ExportedImage]:
    """Yield the images of a run in the order of its split. Raises UserError if a file is missing or damaged."""
    split, predictions = records.open_split(run.split), records.open_predictions(run.predictions)
    scored, ious = ScoredImages(split, predictions), _ious(run.scores)
    for indices, image in zip(scored.indices, scored, strict=True):
        own = [split[index] for index in indices]
        whole = len(own) == 1 and (own[0].height, own[0].width) == image.target.shape
        data = own[0].image if whole else image_io.encode_png(image.image)
        instances = _instances(own, image.target.shape)
        yield ExportedImage(
            id=image.id,
            group=image.group,
            name=_file_name(image.id),
            image=data,
            suffix=".jpg" if data.startswith(b"\xff\xd8") else ".png",
            target=LabelMap(image.target, instances),
            predicted=LabelMap(counts.label_map(image.probability, THRESHOLD), _predicted(image, instances)),
            probability=image.probability,
            iou=ious.get(image.id),
        )


def write_file(folder: Path, name: str, data: bytes) -> str:
    """Write a file below a folder, with the folders on its way; returns its name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def _ious(path: Path) -> dict[str, float]:
    """IoU of each image, the mean over its classes in the ground truth, from the table of scores."""
    import pandas as pd

    from promptseg.evaluation import score_table

    score_table.read_summary(path)  # says so where the file is missing or damaged
    table = pd.read_parquet(path, columns=["id", "iou"], page_checksum_verification=True)
    return table.groupby("id")["iou"].mean().dropna().round(6).to_dict()


def _instances(own: list[records.Record], shape: tuple[int, ...]) -> np.ndarray | None:
    """Instances of an image of one or more records, (h, w) uint16; None where none has any."""
    if not any(record.instances for record in own):
        return None
    joined = np.zeros(shape, np.uint16)
    for record in own:
        numbers = records.instances(record)
        if numbers is not None:
            whole = numbers.shape == shape
            place = Window(0, 0, *shape) if whole else Window(record.top, record.left, *numbers.shape)
            place.of(joined)[:] = numbers
    return joined


def _predicted(image: ScoredImage, instances: np.ndarray | None) -> np.ndarray | None:
    """Instances of the prediction: the automatic masks, or components where the ground truth has instances."""
    if image.mask_numbers is not None:
        return image.mask_numbers.astype(np.uint16)
    return None if instances is None else np.zeros(image.target.shape, np.uint16)


def _file_name(id: str) -> str:
    """The id as a path that stays below a folder."""
    path = PurePosixPath(id)
    if path.is_absolute() or ".." in path.parts or "\0" in id:
        raise UserError(f"{id!r}: the id of an image is no path below a folder; prepare the dataset again")
    return path.as_posix()
