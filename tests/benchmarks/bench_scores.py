"""What counting a picture of 1024 x 1024 pixels costs, beside torchmetrics' IoU alone.

`count` thresholds, counts and finds the boundary bands; `Scores.add` fills the histograms as well; torchmetrics gets
labels, thresholded beforehand, and only updates its confusion matrix.

Run: PYTHONPATH=stages python tests/benchmarks/bench_scores.py
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from promptseg.data import masks
from promptseg.evaluation import scores
from torchmetrics.classification import BinaryJaccardIndex, MulticlassJaccardIndex

SIDE, REPEATS = 1024, 21


def milliseconds(work: Callable[[], object]) -> float:
    """Least time of a call, after one to warm up: what others run at the same time only ever adds."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def smooth(generator: np.random.Generator, classes: int) -> np.ndarray:
    """Probability maps uint8 (classes, SIDE, SIDE) with blobs about as large as objects in a picture."""
    noise = generator.normal(size=(classes, SIDE, SIDE)).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 20) for plane in noise])
    return np.clip(128 + 60 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def main() -> None:
    torch.set_num_threads(1)  # one thread each: on a shared machine threads that wait for each other tell nothing
    cv2.setNumThreads(1)
    generator = np.random.default_rng(0)
    print(f"{SIDE} x {SIDE}, one thread, least of {REPEATS}; milliseconds a picture")
    for classes in (1, 4, 19):
        probability = smooth(generator, classes)
        truth = scores.predicted(np.roll(probability, 9, axis=2))
        collected = scores.Scores([f"class {i}" for i in range(classes)])
        numbers = iter(range(10**6))
        ours = milliseconds(lambda: scores.count(truth, probability, classes))
        whole = milliseconds(lambda: collected.add(str(next(numbers)), "group", truth, probability))
        if classes == 1:
            metric = BinaryJaccardIndex(ignore_index=scores.IGNORED)
        else:
            metric = MulticlassJaccardIndex(classes + 1, ignore_index=scores.IGNORED)
        guess, labels = torch.from_numpy(scores.predicted(probability)), torch.from_numpy(truth)
        theirs = milliseconds(lambda: metric.update(guess, labels))
        name = type(metric).__name__
        print(f"{classes:2} classes: count {ours:6.1f}   Scores.add {whole:6.1f}   {name}.update {theirs:6.1f}")
    mask = smooth(generator, 1)[0] >= 128
    for name in ("boundary", "box", "components"):
        print(f"{name} {milliseconds(lambda: getattr(masks, name)(mask)):.2f}", end="   ")
    for n in (1, 10):
        print(f"interior_points {n}: {milliseconds(lambda: masks.interior_points(mask, n)):.2f}", end="   ")
    print()
    many = scores.Scores(["class"])
    for number in range(4000):
        many.add(str(number), str(number), np.ones((2, 2), np.uint8), generator.integers(0, 256, (1, 2, 2), np.uint8))
    print(f"summary of 4000 pictures in as many groups {milliseconds(lambda: many.summary(0)):.1f}")


if __name__ == "__main__":
    main()
