"""`promptseg init` on many images of 1 megapixel: time and peak memory.

    python tests/benchmarks/bench_init.py FOLDER [IMAGES]

FOLDER gets IMAGES (10,000) JPEG photos with PNG masks once, and is kept. 1,000 of them are drawn (0.4 GB, which memory
caches), and the others are hard links to these. The models are timed at the end, in a process of their own, whose peak
is said apart.
"""

import resource
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from promptseg.core.distributed import Ranks
from promptseg.core.thread_pool import ThreadPool
from promptseg.inspection import describe, evidence, look, timing

SIDE = 1000
OBJECTS = 12
DRAWN = 1000


def paths(number: int) -> tuple[str, str]:
    """The image and the mask of this number."""
    name = f"plate{number // 100}_{number:05d}"
    return f"images/{name}.jpg", f"masks/{name}.png"


def write(folder: Path, number: int) -> None:
    """Write an image of smooth colors and noise, and the mask of its ellipses; later ones are links to them."""
    image, mask = (folder / part for part in paths(number))
    if image.exists():
        return
    if number >= DRAWN:
        for path, drawn in zip((image, mask), paths(number % DRAWN), strict=True):
            path.hardlink_to(folder / drawn)
        return
    rng = np.random.default_rng(number)
    pixels = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(OBJECTS):
        center, axes = rng.integers(60, SIDE - 60, 2).tolist(), rng.integers(15, 50, 2).tolist()
        cv2.ellipse(labels, center, axes, 0, 0, 360, 255, -1)
    pixels[labels > 0] //= 2
    noisy = cv2.add(pixels, rng.integers(0, 24, pixels.shape, dtype=np.uint8))
    cv2.imwrite(str(mask), labels)
    cv2.imwrite(str(image), noisy)


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with ThreadPool(Ranks().cores) as pool:
        for first in range(0, count, DRAWN):  # links come after what they lead to
            list(pool.map_ordered(partial(write, folder), range(first, min(first + DRAWN, count))))
    start = time.perf_counter()
    description = describe.describe(folder, [])
    described = time.perf_counter()
    findings = look.examine(description, str(folder))
    ended = time.perf_counter()
    print("\n".join([*evidence.of_description(description), *evidence.of_findings(findings)]))
    print(f"{count:,} images: {described - start:.1f} s to describe, {ended - described:.1f} s to examine")
    timing.survey(np.zeros((SIDE, SIDE, 3), np.uint8), {}, "an object")
    peak, of_models = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"{time.perf_counter() - ended:.1f} s to time the models; peak {peak:.0f} MB, of the models' {of_models:.0f} MB"
    )


if __name__ == "__main__":
    main()
