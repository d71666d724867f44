"""Masks of automatic mask generation as JSON, with the keys of segment_anything's SamAutomaticMaskGenerator."""

import json
from dataclasses import dataclass

import numpy as np

from promptseg.core.errors import UserError
from promptseg.data import rle


@dataclass(frozen=True)
class GeneratedMask:
    """A mask from automatic mask generation.

    Attributes:
        counts: run lengths of the mask (`rle`).
        size: height and width of the image.
        box: x0, y0, x1, y1 of the mask's first and last pixels.
        iou: predicted IoU, the model's estimate of the mask's quality.
        stability: IoU of the masks thresholded at +-offset.
        point: x, y of the point prompt.
        crop: x0, y0, x1, y1 of the crop of the image that the mask was generated in.
    """

    counts: list[int]
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    iou: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]

    def mask(self) -> np.ndarray:
        """Decode the mask, (h, w) bool."""
        return rle.decode(self.counts, *self.size)


def to_json(masks: list[GeneratedMask]) -> str:
    """Serialize masks as a JSON list: pixels in COCO's compressed encoding, boxes as x, y, width, height."""
    return json.dumps(
        [
            {
                "segmentation": {"size": list(mask.size), "counts": rle.compress(mask.counts)},
                "area": rle.area(mask.counts),
                "bbox": _xywh(mask.box),
                "predicted_iou": round(mask.iou, 6),
                "point_coords": [[round(value, 2) for value in mask.point]],
                "stability_score": round(mask.stability, 6),
                "crop_box": _xywh(mask.crop),
            }
            for mask in masks
        ]
    )


def run_lengths(text: str, height: int, width: int) -> list[list[int]]:
    """Parse the run lengths (`rle`) of each mask from `to_json`'s text.

    Raises UserError where a mask is damaged or not of this size.
    """
    counts = []
    for entry in json.loads(text):
        if entry["segmentation"]["size"] != [height, width]:
            raise UserError(f"a mask of {entry['segmentation']['size']}, but the image is {height} x {width}")
        counts.append(rle.decompress(entry["segmentation"]["counts"]))
    return counts


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
