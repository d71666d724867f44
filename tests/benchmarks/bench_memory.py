"""Peak memory of preprocessing at N and at 10 N images, for many files and for one deep stack.

    PYTHONPATH=stages python tests/benchmarks/bench_memory.py [N]

fires: N photos of 1024x768 in the official layout, cut into 12 tiles each (the whole database has 7,306 of that size).
em: two stacks of N slices of 1024x768, cut likewise. The same few images are repeated, which does not affect memory.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

SIZE = (768, 1024)


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise like that of a photo, (h, w) uint8, and a mask with a disc in every tile, 0 and 255."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = np.kron(rng.normal(0, 20, (SIZE[0] // 8, SIZE[1] // 8)), np.ones((8, 8)))
    mask = ((x % 256 - 128) ** 2 + (y % 256 - 128) ** 2 < 40**2).astype(np.uint8) * 255
    return np.clip(140 + smooth + rng.normal(0, 6, SIZE) - mask / 6, 0, 255).astype(np.uint8), mask


def write_fires(folder: Path, count: int) -> None:
    from promptseg.data import image_io

    rng = np.random.default_rng(0)
    image, mask = draw(rng)
    png = {"rgb": image_io.encode_png(np.repeat(image[..., None], 3, 2)), "gt": image_io.encode_png(mask)}
    for number in range(count):
        for kind, data in png.items():
            (folder / f"{number:05d}_{kind}.png").write_bytes(data)


def write_em(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    images = [draw(rng) for _ in range(4)]
    for name in ("training", "testing"):
        for kind, suffix in enumerate(("", "_groundtruth")):
            with tifffile.TiffWriter(folder / f"{name}{suffix}.tif", bigtiff=True) as out:
                for z in range(count):
                    out.write(images[z % len(images)][kind], contiguous=True)


def main() -> None:
    if len(sys.argv) == 4:  # one run, in a process of its own
        from promptseg.core import params
        from promptseg.preprocessing import prepare

        name, raw, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        settings = params.Dataset(raw=str(raw), reader=name, tile=256)
        prepare.prepare(name, settings, None, 0, prepare.Paths(raw, out, out.with_suffix(".json")))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for name, write in (("fires", write_fires), ("em", write_em)):
        for many in (count, 10 * count):
            with tempfile.TemporaryDirectory() as folder:
                raw, out = Path(folder) / "raw", Path(folder) / "out"
                raw.mkdir()
                write(raw, many)
                start = time.perf_counter()
                command = [sys.executable, __file__, name, str(raw), str(out)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds = time.perf_counter() - start
                files = len(list(out.rglob("*.parquet/*.parquet")))
                print(
                    f"{name:5} {many:5} images  {seconds:6.1f} s  peak {int(done.stdout):4} MB  {files} files",
                    flush=True,
                )
                shutil.rmtree(raw)


if __name__ == "__main__":
    main()
