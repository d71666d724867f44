"""Annotation files of 50 MB: seconds to read them, and the process's peak of memory above what it begins with.

CVAT XML with polygons, CVAT XML with masks, and GeoJSON of QuPath: the last holds the objects of one image, the others
images of 20 objects each, all of which are kept. Each is read in a process of its own. Run:

    PYTHONPATH=stages python tests/benchmarks/bench_annotations.py [MEGABYTES]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

OBJECTS = 20  # an image
SIDE = 1024  # of an image


def outline(rng: np.random.Generator, points: int = 60) -> np.ndarray:
    """A blob of about 80 pixels."""
    angles = 2 * np.pi * np.arange(points) / points
    radius = 40 * (1 + 0.2 * np.cos(3 * angles + rng.uniform(0, 6)))
    return rng.uniform(50, SIDE - 50, 2) + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def polygon(rng: np.random.Generator) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline(rng))
    return f'<polygon label="cell" points="{points}" z_order="0"/>'


def mask(rng: np.random.Generator) -> str:
    side = 80
    widths = np.rint(side * np.sqrt(1 - np.linspace(-0.95, 0.95, side) ** 2)).astype(int) + rng.integers(-1, 1, side)
    before = (side - widths) // 2
    runs = np.stack([before + np.append(0, (side - widths - before)[:-1]), widths], axis=1).ravel()
    rle = ", ".join(map(str, [*runs, side * side - runs.sum()]))
    left, top = rng.integers(0, SIDE - side, 2)
    return f'<mask label="cell" rle="{rle}" left="{left}" top="{top}" width="{side}" height="{side}" z_order="0"/>'


def cvat(shape) -> Iterator[str]:
    rng = np.random.default_rng(0)
    number = 0
    yield "<annotations><version>1.1</version><meta/>"
    while True:
        shapes = "".join(shape(rng) for _ in range(OBJECTS))
        yield f'<image id="{number}" name="{number}.png" width="{SIDE}" height="{SIDE}">{shapes}</image>'
        number += 1


def geojson() -> Iterator[str]:
    rng = np.random.default_rng(0)
    yield '{"type": "FeatureCollection", "features": ['
    comma = ""
    while True:
        points = np.round(outline(rng), 2).tolist()
        geometry = {"type": "Polygon", "coordinates": [[*points, points[0]]]}
        about = {"objectType": "detection", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
        yield comma + json.dumps({"type": "Feature", "geometry": geometry, "properties": about})
        comma = ","


def write(path: Path, parts: Iterator[str], end: str, size: int) -> None:
    with path.open("w") as file:
        for part in parts:
            file.write(part)
            if file.tell() > size:
                file.write(end)
                return


def read(path: Path) -> None:
    """Read a file, keep everything, and print seconds, megabytes and the number of shapes."""
    from promptseg.annotations import cvat, qupath

    module = cvat if path.suffix == ".xml" else qupath
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    kept = list(module.read(path))
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{seconds:6.1f} s {grown:7.0f} MB {sum(len(each.shapes) for each in kept):8,} shapes")


def main(megabytes: int) -> None:
    cases = {
        "polygons.xml": (cvat(polygon), "</annotations>"),
        "masks.xml": (cvat(mask), "</annotations>"),
        "objects.geojson": (geojson(), "]}"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (parts, end) in cases.items():
            path = Path(folder) / name
            write(path, parts, end, megabytes * 1_000_000)
            found = subprocess.run([sys.executable, __file__, "read", path], capture_output=True, text=True, check=True)
            print(f"{name:16} {path.stat().st_size / 1e6:4.0f} MB: {found.stdout.strip()}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 50)
