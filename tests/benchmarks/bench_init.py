"""`promptseg init` on many images of 1 megapixel: time and peak memory of looking, without timing the models.

    python tests/benchmarks/bench_init.py FOLDER [IMAGES]

FOLDER gets IMAGES (2,000) JPEG photos with PNG masks once, and is kept.
"""

import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from promptseg.core.distributed import Ranks
from promptseg.core.thread_pool import ThreadPool
from promptseg.inspection import describe, evidence, look

SIDE = 1000
OBJECTS = 12


def write(folder: Path, number: int) -> None:
    """Write an image of smooth colors and noise, and the mask of its ellipses."""
    image, mask = folder / "images" / f"plate{number // 100}_{number:05d}.jpg", folder / "masks"
    if image.exists():
        return
    rng = np.random.default_rng(number)
    pixels = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(OBJECTS):
        center, axes = rng.integers(60, SIDE - 60, 2).tolist(), rng.integers(15, 50, 2).tolist()
        cv2.ellipse(labels, center, axes, 0, 0, 360, 255, -1)
    pixels[labels > 0] //= 2
    noisy = cv2.add(pixels, rng.integers(0, 24, pixels.shape, dtype=np.uint8))
    cv2.imwrite(str(mask / f"{image.stem}.png"), labels)
    cv2.imwrite(str(image), noisy)


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with ThreadPool(Ranks().cores) as pool:
        for _ in pool.map_ordered(lambda number: write(folder, number), range(count)):
            pass
    start = time.perf_counter()
    description = describe.describe(folder, [])
    described = time.perf_counter()
    findings = look.examine(description, str(folder))
    ended = time.perf_counter()
    print("\n".join([*evidence.of_description(description), *evidence.of_findings(findings)]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} images: {described - start:.1f} s to describe, {ended - described:.1f} s to examine, {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
