"""Time of a paired permutation test: 2,000 draws over 1,000 groups of 10 images, with one class and with 10.

Run: PYTHONPATH=stages python tests/benchmarks/bench_verdict.py
"""

import time

import numpy as np
from promptseg.evaluation.permutation import p_value

GROUPS, IMAGES, DRAWS = 1_000, 10, 2_000

for classes in (1, 10):
    rng = np.random.default_rng(0)
    numbers = np.ones((GROUPS * IMAGES, classes))
    before, after = ((rng.uniform(size=numbers.shape), numbers) for _ in range(2))
    start = time.perf_counter()
    p_value(before, after, np.repeat(np.arange(GROUPS), IMAGES), DRAWS)
    print(f"{classes} classes: {time.perf_counter() - start:.3f} s")
