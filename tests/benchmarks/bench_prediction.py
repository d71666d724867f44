"""Time and bytes of a prediction of 480 x 640 pixels: as it is stored, and quantized without regard to ties.

Both start from logits of 88 x 88 and end with the PNG file. Logits are smooth noise around -4, as CLIPSeg has them, in
which one class at a time stands out by more than a logit of 5.5, so that classes tie at 255.

Run: PYTHONPATH=stages python tests/benchmarks/bench_prediction.py
"""

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from promptseg.data import image_io
from promptseg.inference.class_maps import predict_classes
from promptseg.nn import batch_sizes
from promptseg.nn.image_transform import ImageTransform
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt

SIDE, HEIGHT, WIDTH, REPEATS = 88, 480, 640, 5


class Given(Segmenter):
    """Its logits are given: those of each prompt's class."""

    transform = ImageTransform(352, False, (0, 0, 0), (1, 1, 1))

    def __init__(self, logits: np.ndarray):
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def decode(self, features, prompts) -> torch.Tensor:
        return self.logits[None, [prompt.target - 1 for prompt in prompts[0]]]


@torch.inference_mode()
def without_order(segmenter: Given, prompts: list[Prompt], shape: tuple[int, int, int]) -> bytes:
    """Sigmoid of each map, largest of each class, min(255, floor(256 p)), PNG."""
    out = np.zeros(shape, np.float32)
    size = batch_sizes.PROMPTS["cpu"]
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        maps = segmenter.transform.to_image(segmenter.decode({}, [batch])[0], *shape[1:])
        for prompt, values in zip(batch, torch.sigmoid(maps).numpy(), strict=True):
            np.maximum(out[prompt.target - 1], values, out=out[prompt.target - 1])
    values = np.minimum(np.floor(out * 256.0), 255).astype(np.uint8)
    return image_io.encode_png(values.reshape(-1, shape[2]))


def smooth_logits(classes: int) -> np.ndarray:
    """(classes, SIDE, SIDE) float32."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(classes, SIDE, SIDE)).astype(np.float32)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 8) for plane in noise])
    return -4 + 4 * blurred / blurred.std()


def compare(classes: int) -> None:
    segmenter, shape = Given(smooth_logits(classes)), (classes, HEIGHT, WIDTH)
    prompts = [Prompt.of(target=target) for target in range(1, classes + 1)]
    features = {"image": torch.zeros(1)}
    ways: dict[str, Callable[[], bytes]] = {
        "without order": lambda: without_order(segmenter, prompts, shape),
        "as stored": lambda: predict_classes(segmenter, features, prompts, shape).packed(),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    sizes: dict[str, int] = {}
    for _ in range(REPEATS):  # in turns, so that other work on the machine meets both
        for name, work in ways.items():
            start = time.process_time()
            sizes[name] = len(work())
            times[name].append(time.process_time() - start)
    for name, size in sizes.items():
        print(f"{classes:3} classes, {name:13}: {size:10,} bytes, {min(times[name]):.3f} s")


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for classes in (1, 19, 182):
        compare(classes)


if __name__ == "__main__":
    main()
