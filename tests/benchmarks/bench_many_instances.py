"""Peak memory of predicting one image with few and with many instances, prompted instance by instance.

    PYTHONPATH=stages python tests/benchmarks/bench_many_instances.py [SIDE]

The image is a slide of small nuclei, SIDE x SIDE (2048 unless given), with 576 and with 2,304 discs that cover about
the same area; the model is the tiny built-in SAM. Each prediction runs in a process of its own, whose peak is that of
the whole process (ru_maxrss). Prompts of many instances should not take memory in proportion to instances times image
size, so the two peaks must be equal within 10 %; the benchmark fails otherwise.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TINY_SAM = Path(__file__).parents[2] / "stages/promptseg/tiny/sam"
PROMPTS = {"points": {"points": 1, "per": "instance"}, "box": {"box": True, "per": "instance"}}
STEPS = {576: 80, 2304: 41}  # number of discs: distance of their centers in pixels, at a side of 2048
TOLERANCE = 0.1


def draw(side: int, step: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Discs on a jittered grid: image (side, side) uint8, mask of 0 and 1, and the number of discs."""
    rng = np.random.default_rng(0)
    image, mask = rng.normal(60, 8, (side, side)).astype(np.float32), np.zeros((side, side), np.uint8)
    radius = step * 3 // 10
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc, count = y**2 + x**2 <= radius * radius, 0
    for row in range(step, side - step, step):
        for column in range(step, side - step, step):
            cy, cx = (center + int(rng.integers(-step // 8, step // 8 + 1)) for center in (row, column))
            window = np.s_[cy - radius : cy + radius + 1, cx - radius : cx + radius + 1]
            mask[window][disc], count = 1, count + 1
            image[window][disc] += 120
    return np.clip(image, 0, 255).astype(np.uint8), mask, count


def write_split(path: Path, side: int, step: int) -> int:
    """Write a split of one record; returns its number of discs."""
    from promptseg.data import image_io, records

    image, mask, count = draw(side, step)
    pngs = image_io.encode_png(image), image_io.encode_png(mask)
    metadata = {"classes": ["nucleus"], "dataset": "slide", "seed": 0, "score": "image"}
    with records.RecordWriter(path, records.Record, metadata) as out:
        foreground = int(np.count_nonzero(mask))
        out.add(records.Record("slide", "slide", *pngs, side, side, "slide", 0, 0, side, side, foreground=foreground))
    return count


def predict(split: Path, prompt: dict, folder: Path) -> None:
    """Predict the split and print the peak of this process in MB."""
    from promptseg.core.runs import Run
    from promptseg.inference import prediction
    from promptseg.prompts import PromptConfig

    run = Run(dataset="slide", model="sam", prompt=PromptConfig(**prompt))
    prediction.predict(run, prediction.Inputs(split, TINY_SAM, folder / "cache"), folder / "predictions.parquet")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def main(side: int) -> None:
    failed = False
    for kind in PROMPTS:
        peaks = {}
        for step in STEPS.values():
            with tempfile.TemporaryDirectory() as folder:
                count = write_split(Path(folder) / "split.parquet", side, step * side // 2048)
                command = [sys.executable, __file__, kind, folder]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(done.stderr)
                peaks[count] = int(done.stdout.split()[-1])
            print(f"{kind:6} {count:5} instances of {side} x {side}: peak {peaks[count]} MB", flush=True)
        few, many = peaks.values()
        failed |= abs(many - few) > TOLERANCE * few
    if failed:
        raise SystemExit(f"the peaks differ by more than {TOLERANCE:.0%}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        predict(Path(sys.argv[2]) / "split.parquet", PROMPTS[sys.argv[1]], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else 2048)
