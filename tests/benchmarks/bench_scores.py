"""Time to score an image of 1024 x 1024 pixels, compared with torchmetrics' IoU alone.

`count` finds the most probable classes, counts, computes the boundary bands and fills the histograms for the curve and
average precision, and `RunScores.add` collects that; torchmetrics gets labels, thresholded beforehand, and only updates
its confusion matrix.

Run: PYTHONPATH=stages python tests/benchmarks/bench_scores.py
"""

import itertools
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from promptseg.data import masks
from promptseg.data.image_io import IGNORED
from promptseg.evaluation.counts import count, label_map
from promptseg.evaluation.run_scores import RunScores
from promptseg.evaluation.run_summary import Evaluation, summarize
from torchmetrics.classification import BinaryJaccardIndex, MulticlassJaccardIndex

SIDE, REPEATS = 1024, 21


def milliseconds(work: Callable[..., object], *args) -> float:
    """Least time of a call, after one to warm up: other processes on the machine only ever add time."""
    work(*args)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work(*args)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def smooth_maps(rng: np.random.Generator, classes: int) -> np.ndarray:
    """Probability maps (classes, SIDE, SIDE) uint8 with blobs about as large as objects in an image."""
    noise = rng.normal(size=(classes, SIDE, SIDE)).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 20) for plane in noise])
    return np.clip(128 + 60 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def sure_maps(rng: np.random.Generator, classes: int) -> np.ndarray:
    """Maps as models that are sure give them: the most probable class is 255, others soon fall to 0."""
    logits = smooth_maps(rng, max(classes, 2)).astype(np.float32) / 8
    return (255 * np.exp(logits - logits.max(axis=0))).astype(np.uint8)[:classes]


def add(scores: RunScores, ids: Iterator[int], target: np.ndarray, probability: np.ndarray) -> None:
    scores.add(str(next(ids)), "group", target, probability)  # ids are unique within a run


def main() -> None:
    torch.set_num_threads(1)  # on a shared machine, threads that wait for each other make times meaningless
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    print(f"{SIDE} x {SIDE}, one thread, least of {REPEATS}; milliseconds an image")
    for classes, maps in itertools.product((1, 4, 19), (smooth_maps, sure_maps)):
        probability = maps(rng, classes)
        target = label_map(np.roll(probability, 9, axis=2))
        counted = milliseconds(count, target, probability, classes)
        scores = RunScores([f"class {i}" for i in range(classes)])
        added = milliseconds(add, scores, itertools.count(), target, probability)
        if classes == 1:
            metric = BinaryJaccardIndex(ignore_index=IGNORED)
        else:
            metric = MulticlassJaccardIndex(classes + 1, ignore_index=IGNORED)
        theirs = milliseconds(metric.update, torch.from_numpy(label_map(probability)), torch.from_numpy(target))
        times = f"count {counted:6.1f}   RunScores.add {added:6.1f}   {type(metric).__name__}.update {theirs:6.1f}"
        print(f"{classes:2} classes, {maps.__name__:11}: {times}")
    mask = smooth_maps(rng, 1)[0] >= 128
    for function in (masks.boundary_band, masks.bounding_box):
        print(f"{function.__name__} {milliseconds(function, mask):.2f}", end="   ")
    print(f"regions {milliseconds(masks.regions, mask, True):.2f}", end="   ")
    for n in (1, 10):
        print(f"interior_points {n}: {milliseconds(masks.interior_points, mask, n):.2f}", end="   ")
    print()
    many = RunScores(["class"])
    for number in range(4000):
        many.add(str(number), str(number), np.ones((2, 2), np.uint8), rng.integers(0, 256, (1, 2, 2), np.uint8))
    print(f"summary of 4000 images in as many groups {milliseconds(summarize, Evaluation(many)):.1f}")


if __name__ == "__main__":
    main()
