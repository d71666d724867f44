"""Segment anybody's pictures: for each a mask, a picture of it to look at, and COCO's run lengths."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from promptseg import prompts
from promptseg.cli import overlay
from promptseg.cli.load_model import Chosen
from promptseg.cli.open_images import Opened
from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.data import generated_masks, image_io, rle
from promptseg.evaluation import scores
from promptseg.inference import automatic_masks, prediction
from promptseg.nn.segmenter import Features


@dataclass(frozen=True)
class Found:
    """What was found in a picture. mask: (h, w) uint8 or uint16, 0 background; view: (h, w, 3) uint8 to look at.

    annotations: as COCO has them, one for each number in the mask; asked: how, for the same file; words: for a line.
    """

    mask: np.ndarray
    view: np.ndarray
    annotations: list[dict]
    asked: dict
    words: str


def segment(pictures: Iterable[Opened], chosen: Chosen, threshold: float, out: Path) -> None:
    """Write <name>_mask.png, <name>_overlay.png and <name>.json into `out`, and print a line, for each picture.

    A pixel is of the class whose probability is highest, if that reaches the threshold, as in the scores of a run; it
    is background (0) otherwise. Where all masks are asked for, they are numbered 1, 2, ... in the order of the JSON
    file, the surest first, and where they overlap the smaller one is seen. Raises UserError with the first picture that
    cannot be read or asked about.
    """
    if not 0.0 < threshold < 1.0:
        raise UserError(f"--threshold {threshold:g}: it should lie between 0 and 1")
    for opened in pictures:
        start = time.perf_counter()
        image = opened.read()
        found = _everything(chosen, image, opened) if chosen.question.auto else _asked(chosen, image, opened, threshold)
        _write_png(out / f"{opened.name}_mask.png", found.mask)
        _write_png(out / f"{opened.name}_overlay.png", found.view)
        files.write_json(out / f"{opened.name}.json", _about(opened, chosen, found))
        print(f"{opened.name}: {found.words}, {time.perf_counter() - start:.1f} s", flush=True)


@torch.inference_mode()
def _asked(chosen: Chosen, image: np.ndarray, opened: Opened, threshold: float) -> Found:
    """The classes that were asked for."""
    height, width = image.shape[:2]
    asked = chosen.question.prompts(len(chosen.classes), height, width, opened.name)
    features = _features(chosen, image, opened)
    probability = prediction.probabilities(chosen.segmenter, features, asked, len(chosen.classes), height, width)
    # In the steps in which a run's predictions are kept, so that the mask is the one that would be scored.
    mask = scores.predicted(np.minimum(probability * 256.0, 255).astype(np.uint8), threshold)
    found = _annotations(mask, chosen.classes)
    return Found(
        mask,
        overlay.overlay(image, mask, chosen.classes, asked),
        found,
        {"prompts": json.loads(prompts.to_json(asked)), "threshold": threshold},
        ", ".join(f"{each['category']} {each['area'] / mask.size:.1%}" for each in found),
    )


def _everything(chosen: Chosen, image: np.ndarray, opened: Opened) -> Found:
    """All masks that the model finds by itself."""
    settings = chosen.question.auto
    found = automatic_masks.segments(chosen.segmenter, _features(chosen, image, opened), image, settings)
    annotations = [{"id": number, **each} for number, each in enumerate(json.loads(generated_masks.to_json(found)), 1)]
    labels = np.zeros(image.shape[:2], np.uint8 if len(found) < 256 else np.uint16)
    for each in sorted(annotations, key=lambda each: -each["area"]):
        labels[found[each["id"] - 1].mask()] = each["id"]
    words = f"{len(found)} masks over {np.mean(labels > 0):.1%}"
    view = overlay.of_segments(image, labels, len(found))
    return Found(labels, view, annotations, {"automatic": settings.model_dump()}, words)


@torch.inference_mode()
def _features(chosen: Chosen, image: np.ndarray, opened: Opened) -> Features:
    height, width = image.shape[:2]
    segmenter = chosen.segmenter
    if min(segmenter.frame.content(height, width)) < 1:
        raise UserError(f"{opened.path}: {width}x{height} is too narrow for {segmenter.NAME}; cut it into pieces")
    return segmenter.encode([image])


def _annotations(mask: np.ndarray, classes: list[str]) -> list[dict]:
    """Each class as COCO's annotations have it; the box is x, y, width and height, all 0 where there is nothing."""
    return [
        {
            "category_id": label,
            "category": name,
            "area": int(np.count_nonzero(mask == label)),
            "bbox": list(cv2.boundingRect((mask == label).astype(np.uint8))),
            "segmentation": {"size": list(mask.shape), "counts": rle.compress(rle.encode(mask == label))},
        }
        for label, name in enumerate(classes, 1)
    ]


def _about(opened: Opened, chosen: Chosen, found: Found) -> dict:
    image = {"file_name": opened.path.as_posix(), "height": found.mask.shape[0], "width": found.mask.shape[1]}
    if opened.slice is not None:
        image["slice"] = opened.slice
    return {
        "image": image,
        "annotations": found.annotations,
        "model": chosen.segmenter.NAME,
        "weights": (chosen.trained or chosen.checkpoint).as_posix(),
        **found.asked,
    }


def _write_png(path: Path, array: np.ndarray) -> None:
    with files.replacing(path) as aside:
        aside.write_bytes(image_io.png(array))
