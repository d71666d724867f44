"""Seconds and bytes that each model takes for an image, in the layout of its release with random weights.

    PYTHONPATH=stages python tests/benchmarks/bench_models.py [MODEL ...]

An image of 1024 x 768: to encode it, and to decode one prompt after that (a click, else a box, a phrase or a support
image). Processor time of one thread, which other processes affect least; a second image of each, as the first one loads
what later ones have.
"""

import sys
import time

import full_size
import numpy as np
import torch
from promptseg.core.devices import Processes, configure_torch
from promptseg.inference import embedding_cache
from promptseg.inspection.measure import image_prompts

MODELS = (
    "clipseg", "edgetam", "sam2", "sam", "sam_hq", "owlv2", "grounding_dino", "seggpt", "sam3_tracker",
    "sam3",
)  # fmt: skip


@torch.inference_mode()
def measure(name: str) -> None:
    model = full_size.create(name)
    image = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8)
    prompts = [prompt.to_model(model.transform, 768, 1024) for prompt in image_prompts(model, image, "a person")]
    seconds = []
    for _ in range(2):
        start = time.process_time()
        features = model.encode([image])
        encoded = time.process_time()
        model.decode(features, [prompts])
        seconds = [encoded - start, (time.process_time() - encoded) / len(prompts)]
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    size = embedding_cache.size(features) / 1e6 if model.CACHED else 0
    print(f"{name:15} {parameters:5.0f} M   encode {seconds[0]:7.2f} s   decode {seconds[1]:6.2f} s   {size:5.1f} MB")


if __name__ == "__main__":
    configure_torch(Processes())
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or MODELS:
        measure(chosen)
