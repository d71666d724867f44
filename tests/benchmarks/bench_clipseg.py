"""CLIPSeg: several phrases for one image, compared with the usual processor and model call, which repeat the image.

    PYTHONPATH=stages python tests/benchmarks/bench_clipseg.py [PHRASES]

Random weights in the layout of CIDAS/clipseg-rd64-refined, 352x352. All variants start from an image of 640x480 and end
with probabilities at that size. Each round times them in turn, so that a busy machine slows them alike; times are
medians over rounds, and ratios are of times of one round. Phrase embeddings are cached: the first image pays for them,
the next ones do not.
"""

import statistics
import sys
import time

import numpy as np
import torch
from PIL import Image
from promptseg.inference.class_maps import predict_classes
from promptseg.models import clipseg
from promptseg.nn import text_encoder
from promptseg.nn.segmenter import Features
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

ROUNDS = 5
PHRASES = (
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


def create_network() -> CLIPSegForImageSegmentation:
    """The released layout with random weights, scaled so that logits are not in the hundreds."""
    torch.manual_seed(0)
    ends = {"pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}
    layout = dict(text_config=ends, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    network = CLIPSegForImageSegmentation(CLIPSegConfig(**layout))
    with torch.no_grad():
        network.decoder.transposed_convolution[-1].weight /= 500
    return network


def create_segmenter(network: CLIPSegForImageSegmentation) -> clipseg.ClipSeg:
    """A segmenter without cached phrase embeddings."""
    return clipseg.ClipSeg(network, text_encoder.letters(), clipseg.SIZE).eval()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    phrases = [PHRASES[i % len(PHRASES)] + " again" * (i // len(PHRASES)) for i in range(count)]
    network = create_network()
    segmenter, *uncached = (create_segmenter(network) for _ in range(ROUNDS + 2))
    size = {"height": clipseg.SIZE, "width": clipseg.SIZE}
    image_processor = ViTImageProcessor(size=size, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    processor = CLIPSegProcessor(image_processor, text_encoder.tokenizer(text_encoder.letters()))
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    prompts = [Prompt.of(Text(phrase), target=i) for i, phrase in enumerate(phrases, 1)]

    def usual() -> np.ndarray:
        inputs = processor(text=phrases, images=[Image.fromarray(image)] * count, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = network(**inputs).logits.reshape(1, count, clipseg.SIZE, clipseg.SIZE)
            resized = torch.nn.functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
        return torch.sigmoid(resized)[0].numpy()

    def predict(model: clipseg.ClipSeg, features: Features | None = None) -> np.ndarray:
        with torch.inference_mode():
            features = features or model.encode([image])
        return predict_classes(model, features, prompts, (count, HEIGHT, WIDTH)).probability

    def first() -> np.ndarray:
        return predict(uncached.pop())

    with torch.inference_mode():
        cached = segmenter.encode([image])
    predict(segmenter)
    print(f"{count} phrases; largest difference of a probability: {np.abs(usual() - first()).max():.1e}")
    variants = {
        "usual": usual,
        "first image": first,
        "next images": lambda: predict(segmenter),
        "cached features": lambda: predict(segmenter, cached),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, work in variants.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        ratios = sorted(usual / ours for usual, ours in zip(seconds["usual"], times, strict=True))
        ratio = f"usual / this: least {ratios[0]:.1f}, median {statistics.median(ratios):.1f}, most {ratios[-1]:.1f}"
        print(f"{name:24} {statistics.median(times) * 1000:7.0f} ms   {ratio}")


if __name__ == "__main__":
    main()
