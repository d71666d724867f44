"""The boxes of a detector in a file of predictions, and as the prompts of a cascade."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from promptseg import prompts
from promptseg.core.errors import UserError
from promptseg.core.runs import CascadePrompt
from promptseg.nn.segmenter import Detections
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box

KEY = "detections"  # of a prompt in a prediction


def to_json(image_prompts: list[Prompt], found: Sequence[Detections]) -> str:
    """Serialize prompts (`prompts.to_json`), each with the boxes that were found for it.

    Args:
        image_prompts: in pixels of the image.
        found: for each prompt its boxes, in pixels of the image; empty of a model that is no detector.
    """
    text = prompts.to_json(image_prompts)
    if not found:
        return text
    entries = json.loads(text)
    for entry, detections in zip(entries, found, strict=True):
        rows = zip(*(values.astype(float).round(6).tolist() for values in detections), strict=True)
        entry[KEY] = [
            {"box": [round(side, 2) for side in box], "score": score, "probability": probability}
            for box, score, probability in rows
        ]
    return json.dumps(entries, ensure_ascii=False)


def from_json(text: str) -> list[tuple[int, Detections]] | None:
    """Read the class and the boxes of each prompt; None where the prediction is of no detector."""
    entries = [entry for entry in json.loads(text) if KEY in entry]
    return [(entry["target"], _detections(entry[KEY])) for entry in entries] or None


def _detections(rows: list[dict[str, Any]]) -> Detections:
    boxes = np.array([row["box"] for row in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, *(np.array([row[key] for row in rows], np.float32) for key in ("score", "probability")))


def check_cascade(config: CascadePrompt) -> None:
    """Raise UserError unless a detector's boxes can become these prompts."""
    if config.by != "box":
        raise UserError("params.yaml: a detector returns boxes, which prompt by themselves; set prompt.by: box")


def box_prompts(found: Sequence[tuple[int, Detections]], config: CascadePrompt, size: tuple[int, ...]) -> list[Prompt]:
    """Build a prompt for each box of a detector, that of the highest score first; boxes that overlap stay apart.

    Args:
        found: class and boxes of each prompt of the detector, in pixels of the image.
        config: which boxes; `threshold` is of their probability, and `min_area` of what lies in the image.
        size: height and width of the image.

    Returns:
        At most `config.max_components` prompts for each of the detector's; none where no box reaches the threshold.
    """
    height, width = size
    image_prompts = []
    for target, detections in found:
        boxes = np.clip(detections.boxes.astype(float), 0, [width, height] * 2)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        reached = (detections.probability >= config.threshold) & (areas > 0)
        chosen = boxes[reached & (areas >= config.min_area * height * width)][: config.max_components]
        last = np.maximum(chosen[:, 2:] - 1, chosen[:, :2])  # `Box` has the last pixel, and not its edge
        image_prompts += [
            Prompt.of(Box(corners), target=target) for corners in np.concatenate([chosen[:, :2], last], axis=1)
        ]
    return image_prompts
