"""Automatic masks compared with segment_anything's generator: full-size SAM ViT-B, 32 x 32 points, 1024 x 768 pixels.

The weights are random and scaled (`original_sam.lively`), so the thresholds are lowered (predicted IoU 0.9, stability
0.8) and box NMS only removes boxes that nearly agree (0.98): with SAM's own thresholds no mask would pass. The encoder,
which both run alike, is timed separately. With PROMPTSEG_SAM2, a folder of SAM 2's weights in the hub's layout, also
the real SAM 2 on a real image, with SAM's own thresholds, compared with transformers' mask-generation pipeline.

Times are processor seconds on one thread. Run:

    PYTHONPATH=stages:tests/helpers python tests/benchmarks/bench_automatic.py [POINTS A SIDE] [IMAGE]
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import torch
from original_sam import lively, original
from PIL import Image
from promptseg import models
from promptseg.core.devices import Processes, configure_torch
from promptseg.inference import automatic_masks
from promptseg.prompts.automatic import AutomaticMasks
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from transformers import MaskGenerationPipeline, Sam2ImageProcessor


class PrecomputedEncoder(torch.nn.Module):
    """In place of an encoder that is not to be timed."""

    def __init__(self, encoder: torch.nn.Module, features: torch.Tensor):
        super().__init__()
        self.img_size, self._features = encoder.img_size, features

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self._features


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and processor seconds, which other processes on the machine affect less than wall time."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def agreement(masks: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Share of the expected masks that one of ours matches with an IoU above 0.99."""
    hits = 0
    for target in expected:
        hits += any(np.count_nonzero(target & mask) > 0.99 * np.count_nonzero(target | mask) for mask in masks)
    return hits / max(len(expected), 1)


def compare_sam(points: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.GaussianBlur(cv2.resize(noise, (1024, 768), interpolation=cv2.INTER_NEAREST), (0, 0), 9)
    model = lively(models.load("sam").create("full", 0), image)
    settings = AutomaticMasks(points=points, iou=0.9, stability=0.8, nms=0.98)
    with torch.inference_mode():
        features, encoder = timed(lambda: model.encode([image]))
    theirs = original(model)
    _, their_encoder = timed(lambda: SamPredictor(theirs).set_image(image))
    theirs.image_encoder = PrecomputedEncoder(theirs.image_encoder, features["image"])
    generator = SamAutomaticMaskGenerator(
        theirs, points, pred_iou_thresh=0.9, stability_score_thresh=0.8, box_nms_thresh=0.98
    )
    masks, ours = timed(lambda: automatic_masks.generate(model, features, image, settings))
    expected, reference = timed(lambda: generator.generate(image))
    share = agreement([mask.mask() for mask in masks], [mask["segmentation"] for mask in expected])
    print(f"SAM ViT-B, random, {points} x {points} points: encoder {encoder:.1f} s, theirs {their_encoder:.1f} s")
    print(f"  without it {ours:.1f} s, {len(masks)} masks; theirs {reference:.1f} s, {len(expected)} masks")
    print(f"  {reference / ours:.1f} times faster; {100 * share:.1f} % of theirs matched at IoU > 0.99")


def compare_sam2(folder: Path, image: np.ndarray, points: int) -> None:
    model, settings = models.load("sam2").convert(folder), AutomaticMasks(points=points)
    with torch.inference_mode():
        features, encoder = timed(lambda: model.encode([image]))
        embedding = model.image_embeddings(features)
        model.network.get_image_embeddings = lambda _: list(embedding)
        generator = MaskGenerationPipeline(model=model.network, image_processor=Sam2ImageProcessor())
        masks, ours = timed(lambda: automatic_masks.generate(model, features, image, settings))
        expected, reference = timed(lambda: generator(Image.fromarray(image), points_per_crop=points)["masks"])
    share = agreement([mask.mask() for mask in masks], [np.asarray(mask) for mask in expected])
    print(f"SAM 2, real, {points} x {points} points: encoder {encoder:.1f} s")
    print(f"  without it {ours:.1f} s, {len(masks)} masks; theirs {reference:.1f} s, {len(expected)} masks")
    print(f"  {reference / ours:.1f} times faster; {100 * share:.1f} % of theirs matched at IoU > 0.99", flush=True)


def square_photograph(path: str | None) -> np.ndarray:
    """The square in an image's upper left corner, (side, side, 3) uint8.

    In images that are not square, transformers scales SAM 2's points as if the aspect ratio was preserved, so that they
    lie elsewhere than it reports.
    """
    photograph = path or Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"  # comes with matplotlib
    image = np.asarray(Image.open(photograph).convert("RGB"))
    side = min(image.shape[:2])
    return image[:side, :side].copy()


def main() -> None:
    configure_torch(Processes())
    torch.set_num_threads(1)
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    if "PROMPTSEG_SAM2" in os.environ:
        image = square_photograph(sys.argv[2] if len(sys.argv) > 2 else None)
        compare_sam2(Path(os.environ["PROMPTSEG_SAM2"]), image, points)
    compare_sam(points)


if __name__ == "__main__":
    main()
