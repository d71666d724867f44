"""`promptseg segment`: a mask, an overlay and COCO run lengths for each image, in files of its name."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from promptseg import prompts
from promptseg.cli import overlay
from promptseg.cli.load_model import DEFAULT_THRESHOLD, LoadedModel
from promptseg.cli.open_images import InputImage
from promptseg.core import files
from promptseg.core.errors import UserError
from promptseg.core.runs import CascadePrompt
from promptseg.data import generated_masks, image_io, rle
from promptseg.evaluation import counts
from promptseg.inference import detections
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.component_prompts import cascade_prompts
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts.automatic import AutomaticMasks


@dataclass(frozen=True)
class Result:
    """Masks of an image.

    Attributes:
        mask: (h, w) uint8 or uint16, 0 background.
        view: (h, w, 3) uint8 overlay.
        annotations: of the labels 1, 2, ... in the mask, as COCO has them.
        metadata: prompts and settings, for the JSON file.
        summary: for the line that is printed.
    """

    mask: np.ndarray
    view: np.ndarray
    annotations: list[dict]
    metadata: dict
    summary: str


def segment(images: Sequence[InputImage], model: LoadedModel, threshold: float | None, out: Path) -> None:
    """Write NAME_mask.png, NAME_overlay.png and NAME.json for each image, and print a line with its name.

    A pixel belongs to the most probable class where that reaches the threshold, as when a run is scored, and else to
    the background (0). Automatic masks are numbered 1, 2, ... in the order of the JSON file, by falling predicted IoU;
    where they overlap, the mask shows the smallest.

    Args:
        images: are read one at a time; their names differ.
        model: with its prompts.
        threshold: probability in (0, 1); None: that of the model, and a note on stderr says where it is not 0.5.
        out: folder of the results.

    Raises:
        UserError: the threshold is wrong, or a result would replace an image; or images cannot be read or prompted for,
            after all others are done.
    """
    if threshold is None:
        threshold = model.threshold
        if threshold != DEFAULT_THRESHOLD:
            note = f"note: threshold {threshold:g}, chosen on the validation split of {model.source}"
            print(f"{note}; --threshold gives another", file=sys.stderr)
    elif not 0.0 < threshold < 1.0:
        raise UserError(f"--threshold {threshold:g}: a number between 0 and 1 is expected")
    _check_outputs(images, out)
    errors: list[UserError] = []
    for image in images:
        start = time.perf_counter()
        try:
            result = _result(model, image, threshold)
        except UserError as error:
            errors.append(error)
            continue
        mask, view, annotations = _outputs(image, out)
        _write_png(mask, result.mask)
        _write_png(view, result.view)
        files.write_json(annotations, _metadata(image, model, result))
        print(f"{image.name}: {result.summary}, {time.perf_counter() - start:.1f} s", flush=True)
    if errors and len(images) > 1:
        for each in errors:
            print(f"error: {each}", file=sys.stderr)
        raise UserError(f"{len(errors)} of {len(images)} images not segmented; they are listed above")
    if errors:
        raise errors[0]


def _outputs(image: InputImage, out: Path) -> list[Path]:
    """Paths of the mask, the overlay and the JSON file of an image."""
    return [out / f"{image.name}{ending}" for ending in ("_mask.png", "_overlay.png", ".json")]


def _check_outputs(images: Sequence[InputImage], out: Path) -> None:
    """Raise UserError where a result would replace an image that is to be segmented."""
    inputs = {image.path.resolve() for image in images}
    for image in images:
        for path in _outputs(image, out):
            if path.resolve() in inputs:
                raise UserError(f"{path}: an image, which results of {image.path} would replace; give another --out")


def _result(model: LoadedModel, image: InputImage, threshold: float) -> Result:
    pixels = image.read()
    settings = model.request.generator
    if settings is not None:
        return _automatic_masks(model, settings, pixels, image)
    return _class_masks(model, pixels, image, threshold)


@torch.inference_mode()
def _class_masks(model: LoadedModel, pixels: np.ndarray, image: InputImage, threshold: float) -> Result:
    """Masks of the classes that are prompted for."""
    height, width = pixels.shape[:2]
    shape = (len(model.classes), height, width)
    image_prompts = model.request.prompts(*shape, image.name)
    features = _encode(model.segmenter, pixels, image)
    predicted = predict_classes(model.segmenter, features, image_prompts, shape)
    maps, described = predicted.quantized(), detections.to_json(image_prompts, predicted.detections)
    metadata: dict[str, Any] = {"threshold": threshold}
    entries = json.loads(described)
    if model.refiner is not None:
        config = CascadePrompt(by="box") if model.segmenter.DETECTS else CascadePrompt()
        refining = cascade_prompts(maps, described, config)
        features = _encode(model.refiner, pixels, image)
        maps = predict_classes(model.refiner, features, refining, shape).quantized()
        image_prompts, entries = image_prompts + refining, entries + json.loads(prompts.to_json(refining))
        metadata["cascade"] = {"model": model.refiner.NAME, "prompt": config.model_dump()}
    mask = counts.label_map(maps, threshold)
    annotations = _annotations(mask, model.classes)
    return Result(
        mask,
        overlay.class_overlay(pixels, mask, model.classes, image_prompts),
        annotations,
        {"prompts": entries, **metadata},
        ", ".join(f"{each['category']} {each['area'] / mask.size:.1%}" for each in annotations),
    )


def _automatic_masks(model: LoadedModel, settings: AutomaticMasks, pixels: np.ndarray, image: InputImage) -> Result:
    """All masks that the model generates by itself."""
    from promptseg.inference import automatic_masks  # imports torchvision, which takes seconds

    masks = automatic_masks.generate(model.segmenter, _encode(model.segmenter, pixels, image), pixels, settings)
    entries = json.loads(generated_masks.to_json(masks))
    annotations = [{"id": number, **entry} for number, entry in enumerate(entries, 1)]
    labels = np.zeros(pixels.shape[:2], np.uint8 if len(masks) < 256 else np.uint16)
    for annotation in sorted(annotations, key=lambda annotation: -annotation["area"]):
        labels[masks[annotation["id"] - 1].mask()] = annotation["id"]
    view = overlay.mask_overlay(pixels, labels, len(masks))
    summary = f"{len(masks)} masks over {np.mean(labels > 0):.1%}"
    return Result(labels, view, annotations, {"automatic": settings.model_dump()}, summary)


@torch.inference_mode()
def _encode(segmenter: Segmenter, pixels: np.ndarray, image: InputImage) -> Features:
    height, width = pixels.shape[:2]
    if min(segmenter.transform.content_size(height, width)) < 1:
        raise UserError(f"{image.path}: {width}x{height} is too narrow for {segmenter.NAME}; cut it into tiles")
    return segmenter.encode([pixels])


def _annotations(mask: np.ndarray, classes: list[str]) -> list[dict]:
    """COCO annotations of the classes; the box is x, y, width and height, all 0 where a class is absent."""
    return [
        {
            "category_id": label,
            "category": name,
            "area": int(np.count_nonzero(mask == label)),
            "bbox": list(cv2.boundingRect((mask == label).astype(np.uint8))),
            "segmentation": rle.encode(mask == label),
        }
        for label, name in enumerate(classes, 1)
    ]


def _metadata(image: InputImage, model: LoadedModel, result: Result) -> dict:
    height, width = result.mask.shape
    entry = {"file_name": image.path.as_posix(), "height": height, "width": width}
    if image.slice is not None:
        entry["slice"] = image.slice
    return {
        "image": entry,
        "annotations": result.annotations,
        "model": model.segmenter.NAME,
        "weights": model.source,
        **result.metadata,
    }


def _write_png(path: Path, array: np.ndarray) -> None:
    with files.replacing(path) as aside:
        aside.write_bytes(image_io.encode_png(array))
