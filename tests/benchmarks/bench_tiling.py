"""Time of `windows` and `Blender` on a large image compared with a plain numpy loop, both in one run.

PYTHONPATH=stages python tests/benchmarks/bench_tiling.py
"""

import statistics
import time

import numpy as np
from promptseg.data.tiling import Blender, windows

HEIGHT, WIDTH, TILE, OVERLAP, ROUNDS = 2858, 3999, 256, 64, 7


def ours(image):
    channels, height, width = image.shape
    blender = Blender(height, width, channels)
    for window in windows(height, width, TILE, OVERLAP):
        blender.add(window.of(image), window)
    return blender.result()[0]


def naive(image):
    """Sum weight x value and weights, divided at the end; weights are computed and arrays allocated for each tile."""
    _, height, width = image.shape
    weighted, total = np.zeros(image.shape, np.float32), np.zeros((height, width), np.float32)
    for window in windows(height, width, TILE, OVERLAP):
        rows, columns = np.ogrid[1 : window.height + 1, 1 : window.width + 1]
        down = np.minimum(rows, window.height + 1 - rows)
        across = np.minimum(columns, window.width + 1 - columns)
        weight = (down * across).astype(np.float32)
        window.of(weighted)[...] += weight * window.of(image)
        window.of(total)[...] += weight
    return weighted / total


def seconds(function, image):
    start = time.perf_counter()
    function(image)
    return time.perf_counter() - start


def main():
    print(f"{HEIGHT} x {WIDTH}, tile {TILE}, overlap {OVERLAP}: {len(windows(HEIGHT, WIDTH, TILE, OVERLAP))} windows")
    for channels in (1, 3):
        image = np.random.default_rng(0).random((channels, HEIGHT, WIDTH), np.float32)
        errors = {function.__name__: np.abs(function(image) - image).max() for function in (ours, naive)}
        pairs = [
            (seconds(ours, image), seconds(naive, image)) for _ in range(ROUNDS)
        ]  # in turn, so that noise affects both
        ratio = statistics.median(slow / fast for fast, slow in pairs)
        for name, times in zip(errors, zip(*pairs, strict=True), strict=True):
            print(
                f"channels {channels}: {name:5} {1000 * statistics.median(times):7.1f} ms, "
                f"largest error of identity {errors[name]:.1e}"
            )
        print(f"channels {channels}: naive / ours {ratio:.2f} (median of {ROUNDS} pairs)")


if __name__ == "__main__":
    main()
