"""Which prompts a cascade should give its second network: IoU on real images for each value of `CascadePrompt.by`.

Real CLIPSeg is neither needed nor measured: a coarse map made from the ground truth stands in for its predictions, 22 x
22 as CLIPSeg has patches, blurred, noisy and enlarged. So the scores compare kinds of prompts; they are not those of a
cascade.

Run: PYTHONPATH=stages python tests/benchmarks/bench_cascade.py SAM2 READER=FOLDER ...
SAM2: a folder of SAM 2's weights in the hub's layout; READER=FOLDER: a dataset's name and its files, such as
fires=../fires. IMAGES of each are taken at even distances, and the largest class of each image.
"""

import sys
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from promptseg import datasets, models
from promptseg.core.runs import CascadePrompt
from promptseg.inference.class_maps import predict_classes
from promptseg.inference.component_prompts import component_prompts
from promptseg.nn.sam_segmenter import SamSegmenter

IMAGES = 7
KINDS = get_args(CascadePrompt.model_fields["by"].annotation)
PATCHES, SIDE = 22, 352


def coarse_map(target: np.ndarray, seed: int) -> np.ndarray:
    """A mask, (h, w) bool -> probabilities (h, w) float32, about as sharp and as confident as CLIPSeg's maps."""
    share = cv2.resize(target.astype(np.float32), (PATCHES, PATCHES), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(seed).normal(0, 0.8, share.shape)
    probability = 1 / (1 + np.exp(-(6 * (cv2.GaussianBlur(share, (0, 0), 0.8) - 0.4) + noise)))
    enlarged = cv2.resize(probability.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(cv2.GaussianBlur(enlarged, (0, 0), 3), target.shape[::-1])


def iou(prediction: np.ndarray, mask: np.ndarray, label: int) -> float:
    counted = mask != 255
    target = mask == label
    return np.count_nonzero(prediction & target) / np.count_nonzero((prediction | target) & counted)


def score(segmenter: SamSegmenter, image: np.ndarray, mask: np.ndarray, seed: int) -> list[float]:
    """IoU of the coarse map, and of the masks from each kind of prompts made of it."""
    label = int(np.bincount(mask[mask != 255], minlength=2)[1:].argmax()) + 1
    probability = coarse_map(mask == label, seed)
    scores = [iou(probability >= 0.5, mask, label)]
    with torch.inference_mode():
        features = segmenter.encode([image])
    for kind in KINDS:
        prompts = component_prompts(probability, CascadePrompt(by=kind))
        (refined,) = predict_classes(segmenter, features, prompts, (1, *mask.shape)).probability
        scores.append(iou(refined >= 0.5, mask, label))
    return scores


def main(sam2: str, *sources: str) -> None:
    segmenter = models.load("sam2").convert(Path(sam2))
    print(f"{'':24}", *(f"{name:>13}" for name in ("coarse map", *KINDS)))
    rows = []
    for name, _, folder in (source.partition("=") for source in sources):
        samples = list(datasets.load(name).read(Path(folder)))
        of_dataset = []
        for index in np.linspace(0, len(samples) - 1, IMAGES).astype(int):
            sample = samples[index]
            mask = sample.mask()
            if np.isin(mask, (0, 255)).all():
                continue
            of_dataset.append(score(segmenter, sample.image(), mask, int(index)))
            print(f"{sample.id[-24:]:24}", *(f"{value:13.3f}" for value in of_dataset[-1]), flush=True)
        rows += of_dataset
        means = np.mean(of_dataset, axis=0)
        print(f"{f'{name}, {len(of_dataset)} images':24}", *(f"{value:13.3f}" for value in means), flush=True)
    print(f"{f'all {len(rows)}':24}", *(f"{value:13.3f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
