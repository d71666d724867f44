"""Masks of automatic mask generation as JSON, with the keys of segment_anything's SamAutomaticMaskGenerator."""

import json
from dataclasses import dataclass

import numpy as np
import pycocotools.mask

from promptseg.core.errors import UserError
from promptseg.data import rle


@dataclass(frozen=True)
class GeneratedMask:
    """A mask from automatic mask generation.

    Attributes:
        segmentation: the mask, encoded (`rle`).
        box: x0, y0, x1, y1 of the mask's first and last pixels.
        iou: predicted IoU, the model's estimate of the mask's quality.
        stability: IoU of the masks thresholded at +-offset.
        point: x, y of the point prompt.
        crop: x0, y0, x1, y1 of the crop of the image that the mask was generated in.
    """

    segmentation: dict
    box: tuple[int, int, int, int]
    iou: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]

    def mask(self) -> np.ndarray:
        """Decode the mask, (h, w) bool."""
        return rle.decode(self.segmentation)


def to_json(masks: list[GeneratedMask]) -> str:
    """Serialize masks as a JSON list: pixels in COCO's compressed encoding, boxes as x, y, width, height."""
    return json.dumps(
        [
            {
                "segmentation": mask.segmentation,
                "area": int(pycocotools.mask.area(mask.segmentation)),
                "bbox": _xywh(mask.box),
                "predicted_iou": round(mask.iou, 6),
                "point_coords": [[round(value, 2) for value in mask.point]],
                "stability_score": round(mask.stability, 6),
                "crop_box": _xywh(mask.crop),
            }
            for mask in masks
        ]
    )


def segmentations(text: str, height: int, width: int) -> list[dict]:
    """Parse the segmentation (`rle`) of each mask from `to_json`'s text.

    Raises UserError where a mask is not of this size.
    """
    parsed = [entry["segmentation"] for entry in json.loads(text)]
    for segmentation in parsed:
        if segmentation["size"] != [height, width]:
            raise UserError(f"a mask of {segmentation['size']}, but the image is {height} x {width}")
    return parsed


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
