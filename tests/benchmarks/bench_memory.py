"""Peak memory of preprocess at N and at 10 N pictures, for many files and for one deep stack.

    python tests/benchmarks/bench_memory.py [N]

fires: N photos of 1024x768 in the official layout, cut into 12 tiles each (the whole database has 7,306 of that size).
em: two stacks of N slices of 1024x768, cut likewise. The same few pictures are repeated; memory does not know.
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


def picture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise like that of a photo, (h, w) uint8, and a mask of discs in every tile, 0 and 255."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = np.kron(rng.normal(0, 20, (SIZE[0] // 8, SIZE[1] // 8)), np.ones((8, 8)))
    mask = ((x % 256 - 128) ** 2 + (y % 256 - 128) ** 2 < 40**2).astype(np.uint8) * 255
    return np.clip(140 + smooth + rng.normal(0, 6, SIZE) - mask / 6, 0, 255).astype(np.uint8), mask


def fires(folder: Path, count: int) -> None:
    from promptseg.data import image_io

    rng = np.random.default_rng(0)
    few = [
        [image_io.png(array) for array in (np.repeat(image[..., None], 3, 2), mask)] for image, mask in [picture(rng)] * 4
    ]
    for number in range(count):
        for kind, data in zip(("rgb", "gt"), few[number % len(few)]):
            (folder / f"{number:05d}_{kind}.png").write_bytes(data)


def em(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    few = [picture(rng) for _ in range(4)]
    for name in ("training", "testing"):
        for kind, suffix in enumerate(("", "_groundtruth")):
            with tifffile.TiffWriter(folder / f"{name}{suffix}.tif", bigtiff=True) as out:
                for z in range(count):
                    out.write(few[z % len(few)][kind], contiguous=True)


def main() -> None:
    if len(sys.argv) == 4:  # one run, in a process of its own
        from promptseg.core import params
        from promptseg.preprocessing import prepare

        name, raw, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        prepare.prepare(name, params.Dataset(reader=name, tile=256), None, 0, raw, out, out.with_suffix(".json"))
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for name, draw in (("fires", fires), ("em", em)):
        for many in (count, 10 * count):
            with tempfile.TemporaryDirectory() as folder:
                raw, out = Path(folder) / "raw", Path(folder) / "out"
                raw.mkdir()
                draw(raw, many)
                start = time.perf_counter()
                command = [sys.executable, __file__, name, str(raw), str(out)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds = time.perf_counter() - start
                files = len(list(out.rglob("*.parquet/*.parquet")))
                print(
                    f"{name:5} {many:5} pictures  {seconds:6.1f} s  peak {int(done.stdout):4} MB  {files} files",
                    flush=True,
                )
                shutil.rmtree(raw)


if __name__ == "__main__":
    main()
