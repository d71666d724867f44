"""Automatic masks beside segment_anything's generator: SAM ViT-B in its true size, 32 x 32 points, 1024 x 768 pixels.

The weights are random and turned up (`original_sam.lively`), so the thresholds are lowered (predicted IoU 0.9,
stability 0.8) and box NMS left to boxes that nearly agree (0.98): with SAM's own nothing would pass. The encoder, which
both run alike, is timed apart. With PROMPTSEG_SAM2, a folder of SAM 2's weights in the hub's layout, also the real
SAM 2 on a real picture, with SAM's own thresholds, beside transformers' mask-generation pipeline.

Times are processor seconds on one thread. Run:

    PYTHONPATH=stages:tests python tests/benchmarks/bench_automatic.py [POINTS A SIDE] [PICTURE]
"""

import os
import sys
import time
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import torch
from original_sam import lively, original
from PIL import Image
from promptseg import models
from promptseg.core import params
from promptseg.core.devices import Processes
from promptseg.inference import automatic_masks
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from transformers import MaskGenerationPipeline, Sam2ImageProcessor


class Given(torch.nn.Module):
    """In place of an encoder that is not to be timed."""

    def __init__(self, encoder: torch.nn.Module, features: torch.Tensor):
        super().__init__()
        self.img_size, self._features = encoder.img_size, features

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self._features


def timed(work):
    """The result, and processor seconds, as others' work on the same machine adds less to them."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def agreement(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Share of the expected masks that one of ours matches with an IoU above 0.99."""
    hits = 0
    for mask in expected:
        hits += any(np.count_nonzero(mask & one) > 0.99 * np.count_nonzero(mask | one) for one in found)
    return hits / max(len(expected), 1)


def sam(points: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    picture = cv2.GaussianBlur(cv2.resize(noise, (1024, 768), interpolation=cv2.INTER_NEAREST), (0, 0), 9)
    model = lively(models.load("sam").create("full", 0), picture)
    settings = params.Automatic(points=points, iou=0.9, stability=0.8, nms=0.98)
    with torch.inference_mode():
        features, encoder = timed(lambda: model.encode([picture]))
    theirs = original(model)
    _, theirs_encoder = timed(lambda: SamPredictor(theirs).set_image(picture))
    theirs.image_encoder = Given(theirs.image_encoder, features["image"])
    generator = SamAutomaticMaskGenerator(
        theirs, points, pred_iou_thresh=0.9, stability_score_thresh=0.8, box_nms_thresh=0.98
    )
    found, mine = timed(lambda: automatic_masks.segments(model, features, picture, settings))
    expected, reference = timed(lambda: generator.generate(picture))
    share = agreement([one.mask() for one in found], [one["segmentation"] for one in expected])
    print(f"SAM ViT-B, random, {points} x {points} points: encoder {encoder:.1f} s, theirs {theirs_encoder:.1f} s")
    print(f"  without it {mine:.1f} s, {len(found)} masks; theirs {reference:.1f} s, {len(expected)} masks")
    print(f"  {reference / mine:.1f} times faster; {100 * share:.1f} % of theirs matched at IoU > 0.99")


def sam2(folder: Path, picture: np.ndarray, points: int) -> None:
    model = models.load("sam2").convert(folder)
    with torch.inference_mode():
        features, encoder = timed(lambda: model.encode([picture]))
        embedding = model.image_embeddings(features)
        model.network.get_image_embeddings = lambda _: list(embedding)
        generator = MaskGenerationPipeline(model=model.network, image_processor=Sam2ImageProcessor())
        found, mine = timed(lambda: automatic_masks.segments(model, features, picture, params.Automatic(points=points)))
        expected, reference = timed(lambda: generator(Image.fromarray(picture), points_per_crop=points)["masks"])
    share = agreement([one.mask() for one in found], [np.asarray(mask) for mask in expected])
    print(f"SAM 2, real, {points} x {points} points: encoder {encoder:.1f} s")
    print(f"  without it {mine:.1f} s, {len(found)} masks; theirs {reference:.1f} s, {len(expected)} masks")
    print(f"  {reference / mine:.1f} times faster; {100 * share:.1f} % of theirs matched at IoU > 0.99", flush=True)


def photograph(path: str | None) -> np.ndarray:
    """The square in the picture's upper left corner: of others transformers places SAM 2's points as if they kept their
    aspect, and asks about other places than it says.
    """
    with open(path, "rb") if path else matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        picture = np.asarray(Image.open(file).convert("RGB"))
    side = min(picture.shape[:2])
    return picture[:side, :side].copy()


def main() -> None:
    Processes()
    torch.set_num_threads(1)
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    if "PROMPTSEG_SAM2" in os.environ:
        picture = photograph(sys.argv[2] if len(sys.argv) > 2 else None)
        sam2(Path(os.environ["PROMPTSEG_SAM2"]), picture, points)
    sam(points)


if __name__ == "__main__":
    main()
