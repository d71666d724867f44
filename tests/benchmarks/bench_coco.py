"""Seconds and peak memory of reading a large COCO JSON, and seconds of drawing an image of 2,000 polygons.

    PYTHONPATH=stages python tests/benchmarks/bench_coco.py [MEGABYTES]

The file (200 MB unless given) has polygons of 24 points with two decimals, 40 an image, a tenth of them as compressed
run lengths; its annotations come before images and categories. The index of a folder is built in a process of its own,
whose peak is that of the whole process (ru_maxrss), and must stay below 3 times the size of the file; the benchmark
fails otherwise. The image is 4,096 x 4,096, its polygons cells of 60 pixels.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

A_IMAGE = 40  # annotations
CELL, SIDE, POLYGONS = 30.0, 4096, 2000
POINTS = 24
LIMIT = 3.0


def ring(rng: np.random.Generator, side: int) -> np.ndarray:
    """A rough outline of a cell, (n, 2) x and y."""
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    radius = CELL * rng.uniform(0.7, 1, POINTS)
    center = rng.uniform(CELL, side - CELL, 2)
    return center + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def write(path: Path, size: float) -> int:
    """Write a file of about this size in bytes; returns the number of annotations."""
    from promptseg.data import rle

    rng, count = np.random.default_rng(0), 0
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) < CELL
    encoded = rle.encode(disc, 200, 300, 1024, 1024)
    with open(path, "w") as file:
        file.write('{"annotations": [')
        while file.tell() < size:
            points = [np.round(ring(rng, 1024), 2).ravel().tolist()]
            entry: dict = {"id": count, "image_id": count // A_IMAGE, "category_id": 1, "iscrowd": 0, "area": 2000.0}
            entry |= {"bbox": [1.0, 1.0, 60.0, 60.0], "segmentation": points if count % 10 else encoded}
            file.write((", " if count else "") + json.dumps(entry))
            count += 1
        images = [
            {"id": number, "file_name": f"{number}.jpg", "height": 1024, "width": 1024}
            for number in range(count // A_IMAGE + 1)
        ]
        categories = [{"id": 1, "name": "cell"}]
        file.write(f'], "images": {json.dumps(images)}, "categories": {json.dumps(categories)}}}')
    return count


def read(path: Path) -> None:
    """Index a file; prints seconds, the peak of this process in bytes, and the number of shapes."""
    from promptseg import annotations

    start = time.perf_counter()
    index = annotations.index(path.parent, [path.name])
    seconds = time.perf_counter() - start
    count = sum(len(found.annotated().shapes) for found in index.found)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, count)


def draw() -> float:
    """Seconds of drawing one image of many polygons."""
    from promptseg.annotations.rasterize import rasterize
    from promptseg.annotations.shapes import Shape

    rng = np.random.default_rng(0)
    shapes = [Shape("cell", (ring(rng, SIDE),)) for _ in range(POLYGONS)]
    start = time.perf_counter()
    rasterize(shapes, {"cell": 1}, SIDE, SIDE, "image")
    return time.perf_counter() - start


def main() -> None:
    """Measure and check."""
    if sys.argv[1:2] == ["read"]:
        return read(Path(sys.argv[2]))
    print(f"{POLYGONS:,} polygons in {SIDE}x{SIDE}: {draw():.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        count = write(path, float(sys.argv[1] if len(sys.argv) > 1 else 200) * 1e6)
        size = path.stat().st_size
        command = [sys.executable, __file__, "read", str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    seconds, peak = float(output[0]), int(output[1])
    share = peak / size
    print(f"COCO JSON of {size / 1e6:.0f} MB, {count:,} annotations: {seconds:.1f} s, peak {share:.2f} times its size")
    if int(output[2]) != count or share > LIMIT:
        sys.exit("the peak is above the limit, or annotations are missing")


if __name__ == "__main__":
    main()
