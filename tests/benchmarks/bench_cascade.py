"""How a cascade should ask its second network: the IoU that each way of asking reaches on real pictures.

Real CLIPSeg is not needed, and not shown: in its place stands a coarse map made from the truth, 22 x 22 as CLIPSeg has
patches, blurred, noisy, and enlarged. So the figures compare ways of asking; they are no scores of a cascade.

Run: PYTHONPATH=stages python tests/benchmarks/bench_cascade.py SAM2 READER=FOLDER ...
SAM2: a folder of SAM 2's weights in the hub's layout; READER=FOLDER: a dataset's name and its files, such as
fires=../fires. Of each, PICTURES are taken evenly, and in each picture its largest class.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from promptseg import datasets, models
from promptseg.core import params
from promptseg.core.params import Refine
from promptseg.prompts import Prompt

PICTURES = 7
WAYS = Refine.model_fields["by"].annotation.__args__
PATCHES, SIDE = 22, 352


def coarse(truth: np.ndarray, seed: int) -> np.ndarray:
    """A mask, bool (h, w) -> (SIDE, SIDE) float32 in [0, 1], about as sharp and as sure as CLIPSeg's maps."""
    share = cv2.resize(truth.astype(np.float32), (PATCHES, PATCHES), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(seed).normal(0, 0.8, share.shape)
    probability = 1 / (1 + np.exp(-(6 * (cv2.GaussianBlur(share, (0, 0), 0.8) - 0.4) + noise)))
    enlarged = cv2.resize(probability.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return cv2.GaussianBlur(enlarged, (0, 0), 3)


def iou(answer: np.ndarray, mask: np.ndarray, label: int) -> float:
    counted = mask != 255
    truth = mask == label
    return np.count_nonzero(answer & truth) / np.count_nonzero((answer | truth) & counted)


def scored(model, image: np.ndarray, mask: np.ndarray, seed: int) -> list[float]:
    """The IoU of the coarse map, and of what each way of asking makes of it."""
    label = int(np.bincount(mask[mask != 255], minlength=2)[1:].argmax()) + 1
    height, width = mask.shape
    found = coarse(mask == label, seed)
    scores = [iou(cv2.resize(found, (width, height)) >= 0.5, mask, label)]
    with torch.inference_mode():
        features = model.encode([image])
        for way in WAYS:
            logits = model.refine(features, found[None], [Prompt(refine=params.Refine(by=way))])
            scores.append(iou(model.frame.to_picture(logits, height, width)[0].numpy() > 0, mask, label))
    return scores


def main(sam2: str, *sources: str) -> None:
    parts = [models.load("clipseg").create("tiny", 0), models.load("sam2").convert(Path(sam2))]
    model = models.load("cascade_sam2").assemble(parts)
    print(f"{'':24}", *(f"{way:>13}" for way in ("coarse map", *WAYS)))
    rows = []
    for name, _, folder in (source.partition("=") for source in sources):
        pictures = list(datasets.load(name).read(Path(folder)))
        own = []
        for place in np.linspace(0, len(pictures) - 1, PICTURES).astype(int):
            picture = pictures[place]
            mask = picture.mask()
            if np.isin(mask, (0, 255)).all():
                continue
            own.append(scored(model, picture.image(), mask, int(place)))
            print(f"{picture.id[-24:]:24}", *(f"{score:13.3f}" for score in own[-1]), flush=True)
        rows += own
        print(f"{f'{name}, {len(own)} pictures':24}", *(f"{score:13.3f}" for score in np.mean(own, axis=0)), flush=True)
    print(f"{f'all {len(rows)}':24}", *(f"{score:13.3f}" for score in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
