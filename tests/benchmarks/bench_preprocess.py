"""Preprocessing of a full EM stack compared with one PNG a tile by patchify: time and peak memory, both in one run.

    PYTHONPATH=stages python tests/benchmarks/bench_preprocess.py [SLICES]

The stack is generated in the official layout: 165 slices of 768x1024, uncompressed, 130 MB each file.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

SIZE = (768, 1024)


def write_stacks(folder: Path, slices: int) -> None:
    """Write two stacks with noise like that of real slices, and masks of discs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for name in ("training", "testing"):
        with (
            tifffile.TiffWriter(folder / f"{name}.tif") as images,
            tifffile.TiffWriter(folder / f"{name}_groundtruth.tif") as masks,
        ):
            for z in range(slices):
                mask = np.zeros(SIZE, np.uint8)
                for cx, cy in ((150 + z, 200), (500, 100 + z), (900, 600), (300, 650), (620, 400 + z // 2)):
                    mask[(x - cx) ** 2 + (y - cy) ** 2 < 40**2] = 255
                smooth = np.kron(rng.normal(0, 20, (SIZE[0] // 8, SIZE[1] // 8)), np.ones((8, 8)))
                image = np.clip(140 + smooth + rng.normal(0, 12, SIZE) - mask / 6, 0, 255).astype(np.uint8)
                images.write(image, contiguous=True)
                masks.write(mask, contiguous=True)


def ours(raw: Path, out: Path) -> None:
    from promptseg.core import params
    from promptseg.preprocessing import prepare

    settings = params.Dataset(raw=str(raw), reader="em", tile=256, min_foreground=None)  # all tiles, as patchify
    prepare.prepare("em", settings, None, 0, prepare.Paths(raw, out / "prepared", out / "metrics.json"))


def usual(raw: Path, out: Path) -> None:
    """As in tutorials: load the stack, patchify each slice, save each tile and its mask."""
    from patchify import patchify
    from PIL import Image

    for name in ("training", "testing"):
        images, masks = tifffile.imread(raw / f"{name}.tif"), tifffile.imread(raw / f"{name}_groundtruth.tif")
        for folder in ("images", "masks"):
            (out / name / folder).mkdir(parents=True)
        for z in range(len(images)):
            tiles, mask_tiles = (patchify(stack[z], (256, 256), step=256) for stack in (images, masks))
            for r in range(tiles.shape[0]):
                for c in range(tiles.shape[1]):
                    Image.fromarray(tiles[r, c]).save(out / name / "images" / f"{z}_{r}_{c}.png")
                    Image.fromarray(mask_tiles[r, c]).save(out / name / "masks" / f"{z}_{r}_{c}.png")


def main() -> None:
    if len(sys.argv) == 4:  # one variant, in a process of its own
        {"ours": ours, "usual": usual}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{peak:.0f}")
        return
    slices = int(sys.argv[1]) if len(sys.argv) > 1 else 165
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        write_stacks(raw, slices)
        seconds: dict[str, list[float]] = {"ours": [], "usual": []}
        for repeat in range(3):
            for variant in seconds:
                out = Path(folder) / f"{variant}{repeat}"
                out.mkdir()
                start = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, __file__, variant, str(raw), str(out)], capture_output=True, text=True, check=True
                )
                seconds[variant].append(time.perf_counter() - start)
                files = sum(len(names) for _, _, names in os.walk(out))
                print(f"{variant:6} {seconds[variant][-1]:6.1f} s  peak {int(done.stdout):5} MB  {files} files")
        ratios = sorted(usual / ours for ours, usual in zip(seconds["ours"], seconds["usual"], strict=True))
        print(f"usual / ours, pair by pair: least {ratios[0]:.1f}, median {ratios[1]:.1f}, most {ratios[2]:.1f}")


if __name__ == "__main__":
    main()
