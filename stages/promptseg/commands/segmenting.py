"""Segment anybody's pictures: for each a mask, a picture of it to look at, and COCO's run lengths."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import torch

from promptseg import pixels, rle
from promptseg.answering import inference
from promptseg.base import files
from promptseg.base.errors import Problem
from promptseg.commands import overlay
from promptseg.commands.chosen import Chosen
from promptseg.commands.opening import Opened
from promptseg.networks import prompts
from promptseg.networks.prompts import Prompt
from promptseg.scoring import scores


def segment(pictures: Iterable[Opened], chosen: Chosen, threshold: float, out: Path) -> None:
    """Write <name>_mask.png, <name>_overlay.png and <name>.json into `out`, and print a line, for each picture.

    A pixel is of the class whose probability is highest, if that reaches the threshold, as in the scores of a run; it
    is background (0) otherwise. Raises Problem with the first picture that cannot be read or asked about.
    """
    if not 0.0 < threshold < 1.0:
        raise Problem(f"--threshold {threshold:g}: it should lie between 0 and 1")
    for opened in pictures:
        start = time.perf_counter()
        image = opened.read()
        asked = chosen.question.prompts(len(chosen.classes), *image.shape[:2], opened.name)
        mask = answer(chosen, image, asked, threshold, opened)
        _write_png(out / f"{opened.name}_mask.png", mask)
        _write_png(out / f"{opened.name}_overlay.png", overlay.overlay(image, mask, chosen.classes, asked))
        found = _annotations(mask, chosen.classes)
        files.write_json(out / f"{opened.name}.json", _about(opened, mask, chosen, asked, threshold, found))
        shares = ", ".join(f"{each['category']} {each['area'] / mask.size:.1%}" for each in found)
        print(f"{opened.name}: {shares}, {time.perf_counter() - start:.1f} s", flush=True)


@torch.inference_mode()
def answer(chosen: Chosen, image: np.ndarray, asked: list[Prompt], threshold: float, opened: Opened) -> np.ndarray:
    """The mask of a picture: (h, w) uint8, 0 background, i class i."""
    height, width = image.shape[:2]
    segmenter = chosen.segmenter
    if min(segmenter.frame.content(height, width)) < 1:
        raise Problem(f"{opened.path}: {width}x{height} is too narrow for {segmenter.NAME}; cut it into pieces")
    features = segmenter.encode([image])
    probability = inference.probabilities(segmenter, features, asked, len(chosen.classes), height, width)
    # In the steps in which a run's predictions are kept, so that the mask is the one that would be scored.
    return scores.predicted(np.minimum(probability * 256.0, 255).astype(np.uint8), threshold)


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


def _about(
    opened: Opened, mask: np.ndarray, chosen: Chosen, asked: list[Prompt], threshold: float, found: list[dict]
) -> dict:
    image = {"file_name": opened.path.as_posix(), "height": mask.shape[0], "width": mask.shape[1]}
    if opened.slice is not None:
        image["slice"] = opened.slice
    return {
        "image": image,
        "annotations": found,
        "model": chosen.segmenter.NAME,
        "weights": (chosen.trained or chosen.checkpoint).as_posix(),
        "prompts": json.loads(prompts.to_json(asked)),
        "threshold": threshold,
    }


def _write_png(path: Path, array: np.ndarray) -> None:
    with files.replacing(path) as aside:
        aside.write_bytes(pixels.png(array))
