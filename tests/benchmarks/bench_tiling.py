"""Time of windows + Blender on a large picture against a plain numpy loop, both in one run.

PYTHONPATH=stages python tests/benchmarks/bench_tiling.py
"""

import statistics
import time

import numpy as np
from promptseg.data.tiling import Blender, windows

HEIGHT, WIDTH, TILE, OVERLAP, ROUNDS = 2858, 3999, 256, 64, 7


def ours(picture):
    blender = Blender(*picture.shape[1:], len(picture))
    for window in windows(*picture.shape[1:], TILE, OVERLAP):
        blender.add(window.of(picture), window)
    return blender.result()[0]


def naive(picture):
    """Sums of weight x value and of weights, divided at the end; weights anew and fresh arrays for each tile."""
    top, bottom = np.zeros(picture.shape, np.float32), np.zeros(picture.shape[1:], np.float32)
    for window in windows(*picture.shape[1:], TILE, OVERLAP):
        rows, columns = np.ogrid[1 : window.height + 1, 1 : window.width + 1]
        down = np.minimum(rows, window.height + 1 - rows)
        across = np.minimum(columns, window.width + 1 - columns)
        weight = (down * across).astype(np.float32)
        window.of(top)[...] += weight * window.of(picture)
        window.of(bottom)[...] += weight
    return top / bottom


def seconds(function, picture):
    start = time.perf_counter()
    function(picture)
    return time.perf_counter() - start


def main():
    print(f"{HEIGHT} x {WIDTH}, tile {TILE}, overlap {OVERLAP}: {len(windows(HEIGHT, WIDTH, TILE, OVERLAP))} windows")
    for channels in (1, 3):
        picture = np.random.default_rng(0).random((channels, HEIGHT, WIDTH), np.float32)
        errors = {function.__name__: np.abs(function(picture) - picture).max() for function in (ours, naive)}
        pairs = [(seconds(ours, picture), seconds(naive, picture)) for _ in range(ROUNDS)]  # in turn: noise hits both
        ratio = statistics.median(slow / fast for fast, slow in pairs)
        for name, times in zip(errors, zip(*pairs, strict=True), strict=True):
            print(
                f"channels {channels}: {name:5} {1000 * statistics.median(times):7.1f} ms, "
                f"largest error of identity {errors[name]:.1e}"
            )
        print(f"channels {channels}: naive / ours {ratio:.2f} (median of {ROUNDS} pairs)")


if __name__ == "__main__":
    main()
