"""Automatic masks of a picture as rows of JSON, with the keys of segment_anything's SamAutomaticMaskGenerator."""

import json
from dataclasses import dataclass

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import rle


@dataclass(frozen=True)
class Segment:
    """One mask that a model found by itself.

    counts: its runs (`rle`); size: height and width of the picture; box: (4,) int x0, y0, x1, y1 of its first and last
    pixels; iou: what the model predicts of its quality; stability: IoU of the masks thresholded at +-offset;
    point: x, y of the point that it answers; crop: x0, y0, x1, y1 of the part of the picture it was found in.
    """

    counts: list[int]
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    iou: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]

    def mask(self) -> np.ndarray:
        """The mask, bool (h, w)."""
        return rle.decode(self.counts, *self.size)


def to_json(found: list[Segment]) -> str:
    """Segments as a JSON list, masks in COCO's compressed encoding, boxes as x, y, width, height."""
    return json.dumps(
        [
            {
                "segmentation": {"size": list(one.size), "counts": rle.compress(one.counts)},
                "area": rle.area(one.counts),
                "bbox": _xywh(one.box),
                "predicted_iou": round(one.iou, 6),
                "point_coords": [[round(value, 2) for value in one.point]],
                "stability_score": round(one.stability, 6),
                "crop_box": _xywh(one.crop),
            }
            for one in found
        ]
    )


def masks(text: str, height: int, width: int) -> list[list[int]]:
    """The counts of each mask out of `to_json`'s text. Raises UserError where one is not of this size, or damaged."""
    found = []
    for entry in json.loads(text):
        if entry["segmentation"]["size"] != [height, width]:
            raise UserError(f"a mask of {entry['segmentation']['size']}, but the picture is {height} x {width}")
        found.append(rle.decompress(entry["segmentation"]["counts"]))
    return found


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
