"""20 correcting clicks on an image against encoding it, for real SAM 2; and on each of 8 instances.

    PROMPTSEG_SAM2=FOLDER PYTHONPATH=stages python tests/benchmarks/bench_clicks.py [SIDE]

FOLDER has SAM 2 in the layout of the hub. The image has 8 textured discs of SIDE pixels, 512 if not given. Times are
processor seconds on one thread, which other processes affect least.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from promptseg import models
from promptseg.core.devices import Processes, configure_torch
from promptseg.inference.sweeps import predict_sweep
from promptseg.prompts import PromptConfig, PromptSource

CLICKS, DISCS, REPEATS = 20, 8, 3


def scene(side: int) -> tuple[np.ndarray, np.ndarray]:
    """An image (side, side, 3) uint8 and its mask, whose outline no model finds exactly: each click is needed."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    mask = np.zeros((side, side), np.uint8)
    for number in range(DISCS):
        center = 0.125 + 0.25 * np.array(divmod(number, 4)) + [0.2 * (number > 3), 0]
        wave = 1 + 0.3 * np.sin(9 * np.arctan2(y - center[0], x - center[1]))
        mask[np.hypot(y - center[0], x - center[1]) < 0.08 * wave] = 1
    image = 110 + 50 * mask[..., None] + rng.normal(0, 20, (side, side, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def seconds(work: Callable[..., object], *args) -> float:
    def once() -> float:
        start = time.process_time()
        work(*args)
        return time.process_time() - start

    once()
    return min(once() for _ in range(REPEATS))


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    torch.manual_seed(0)
    configure_torch(Processes())
    torch.set_num_threads(1)
    model = models.load("sam2").convert(Path(os.environ["PROMPTSEG_SAM2"]))
    image, mask = scene(side)
    with torch.inference_mode():
        encoder, features = seconds(model.encode, [image]), model.encode([image])
    print(f"encoder {encoder:.2f} s")
    for per in ("image", "instance"):
        config, source = PromptConfig(clicks=CLICKS, per=per), PromptSource("a", mask, ["disc"], 0)
        clicks = seconds(predict_sweep, model, lambda: features, config, source)
        prompts = predict_sweep(model, lambda: features, config, source).prompts
        number, total = sum(prompt.effort for prompt in prompts), encoder + clicks
        print(f"per {per}: {number} clicks {clicks:.2f} s, with the encoder {total / encoder:.2f} times the encoder")


if __name__ == "__main__":
    main()
