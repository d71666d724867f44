"""CLIPSeg: several phrases about a picture, ours against the usual processor and model call with the picture repeated.

    python tests/benchmarks/bench_clipseg.py [PHRASES]

Random weights in the layout of CIDAS/clipseg-rd64-refined, 352x352. Both sides start from a picture of 640x480 and end
with probabilities at that size. Each round times all sides in turn, so that a busy machine slows them alike; the
figures are the medians of the rounds, and the ratios of those of one round. The phrases' embeddings are made once a run: the
first picture pays for them, and the second does not.
"""

import statistics
import sys
import time

import numpy as np
import torch
from PIL import Image
from promptseg.inference import prediction
from promptseg.models import clipseg
from promptseg.nn import text_encoder
from promptseg.prompts import Prompt
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

ROUNDS = 5
WORDS = (
    "a road",
    "a building with windows",
    "a tree",
    "a person walking",
    "a car",
    "the sky",
    "a dog",
    "grass",
    "a sign",
)
HEIGHT, WIDTH = 480, 640


def model() -> clipseg.ClipSeg:
    torch.manual_seed(0)
    ends = {"pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
    layout = dict(text_config=ends, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    network = CLIPSegForImageSegmentation(CLIPSegConfig(**layout))
    with torch.no_grad():  # as initialised, logits are in the hundreds
        network.decoder.transposed_convolution[-1].weight /= 500
    return clipseg.ClipSeg(network, text_encoder.letters(), clipseg.SIZE).eval()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    phrases = [WORDS[i % len(WORDS)] + " again" * (i // len(WORDS)) for i in range(count)]
    ours = model()
    size = {"height": clipseg.SIZE, "width": clipseg.SIZE}
    images = ViTImageProcessor(size=size, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    processor = CLIPSegProcessor(images, ours.phrases.tokenizer)
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    asked = [Prompt(i + 1, text=phrase) for i, phrase in enumerate(phrases)]

    def usual() -> np.ndarray:
        inputs = processor(text=phrases, images=[Image.fromarray(picture)] * count, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = ours.network(**inputs).logits.reshape(1, count, clipseg.SIZE, clipseg.SIZE)
            whole = torch.nn.functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
        return torch.sigmoid(whole)[0].numpy()

    def first() -> np.ndarray:
        ours.phrases._known.clear()
        return second()

    def second() -> np.ndarray:
        return prediction.probabilities(ours, ours.encode([picture]), asked, count, HEIGHT, WIDTH)

    def kept() -> np.ndarray:
        return prediction.probabilities(ours, features, asked, count, HEIGHT, WIDTH)

    features = ours.encode([picture])
    print(f"{count} phrases; largest difference of a probability: {np.abs(usual() - first()).max():.1e}")
    sides = {"usual": usual, "first picture": first, "next pictures": second, "features from the cache": kept}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        ratios = sorted(usual / mine for usual, mine in zip(seconds["usual"], times))
        ratio = f"usual / this: least {ratios[0]:.1f}, median {statistics.median(ratios):.1f}, most {ratios[-1]:.1f}"
        print(f"{name:24} {statistics.median(times) * 1000:7.0f} ms   {ratio}")


if __name__ == "__main__":
    main()
