"""A cascade from the boxes of a detector into SAM 2, on real images: IoU of the boxes, and of the masks made of them.

No released detector is needed nor measured: the boxes are those of the ground truth's components, each side moved by a
uniform share of the box's own width or height, up to NOISE. All else is the way of a run: boxes in the JSON of a
prediction, `cascade_prompts`, `predict_classes`.

Run: PYTHONPATH=stages python tests/benchmarks/bench_detections.py SAM2 READER=FOLDER ...
Arguments as of bench_cascade.py; the largest class of each image, of at most IMAGES at even distances.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from bench_cascade import iou
from promptseg import datasets, models
from promptseg.core.runs import CascadePrompt
from promptseg.data import masks
from promptseg.inference import detections
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.component_prompts import cascade_prompts
from promptseg.nn.sam_segmenter import SamSegmenter
from promptseg.nn.segmenter import Detections
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text

IMAGES = 24
NOISE = (0.0, 0.05, 0.1, 0.2)


def detect(target: np.ndarray, noise: float, rng: np.random.Generator) -> Detections:
    """What a detector might return for a mask, (h, w) bool: the largest component has the highest score."""
    regions = sorted(masks.regions(target, True), key=lambda region: -np.count_nonzero(region.mask))
    boxes = np.array([masks.region_box(region) for region in regions], np.float32)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes += sides * rng.uniform(-noise, noise, boxes.shape).astype(np.float32)
    scores = np.linspace(0.9, 0.6, len(boxes), dtype=np.float32)
    return Detections(boxes, scores, scores)


def score(segmenter: SamSegmenter, image: np.ndarray, mask: np.ndarray, seed: int) -> list[float]:
    """IoU of the filled boxes and of SAM 2's masks, for each noise."""
    label = int(np.bincount(mask[mask != 255], minlength=2)[1:].argmax()) + 1
    with torch.inference_mode():
        features = segmenter.encode([image])
    scores = []
    for noise in NOISE:
        found = detect(mask == label, noise, np.random.default_rng(seed))
        filled = np.zeros(mask.shape, bool)
        for x0, y0, x1, y1 in np.round(found.boxes).clip(0).astype(int):
            filled[y0:y1, x0:x1] = True
        stored = detections.to_json([Prompt.of(Text("object"))], [found])
        prompts = cascade_prompts(np.zeros((1, *mask.shape), np.uint8), stored, CascadePrompt(by="box"))
        (refined,) = predict_classes(segmenter, features, prompts, (1, *mask.shape)).probability
        scores += [iou(filled, mask, label), iou(refined >= 0.5, mask, label)]
    return scores


def main(sam2: str, *sources: str) -> None:
    segmenter = models.load("sam2").convert(Path(sam2))
    print(f"{'':24}", *(f"{what + f' {noise:g}':>11}" for noise in NOISE for what in ("boxes", "SAM 2")))
    for name, _, folder in (source.partition("=") for source in sources):
        samples, rows = list(datasets.load(name).read(Path(folder))), []
        for index in np.linspace(0, len(samples) - 1, min(IMAGES, len(samples))).astype(int):
            mask = samples[index].mask()
            if not np.isin(mask, (0, 255)).all():
                rows.append(score(segmenter, samples[index].image(), mask, int(index)))
        means = np.mean(rows, axis=0)
        print(f"{f'{name}, {len(rows)} images':24}", *(f"{value:11.3f}" for value in means), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
