"""Five phrases for one image: each text model against the usual processor and model call, which repeats the image.

    PYTHONPATH=stages:tests/helpers python tests/benchmarks/bench_text_models.py [MODEL[+][=ROUNDS] ...]

Random weights in the layout of the release, an image of 640 x 480. The usual call repeats the image for each phrase, in
one batch; ours is `predict_classes`, which ends with probabilities at the size of the image. Both run in turn, so that
a busy machine slows them alike: times are medians over the rounds, ratios are of times of one round, `first image`
pays for the phrases, and `cached` has the features from an earlier run. MODEL+ is prompted with all phrases together,
as Grounding DINO can be; the usual call has them one by one. A new model is an entry in INPUTS.
"""

import statistics
import sys
import time
from collections.abc import Callable

import full_size
import numpy as np
import torch
import transformers
from own_layers import own_layers
from PIL import Image
from promptseg.inference.class_maps import predict_classes
from promptseg.models import clipseg, grounding_dino, owlv2, sam3
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text

PHRASES = ("a road", "a building with windows", "a tree", "a person walking", "a car")
HEIGHT, WIDTH = 480, 640


def clipseg_inputs(model: clipseg.ClipSeg, images: list[Image.Image]) -> transformers.BatchFeature:
    size = {"height": clipseg.SIZE, "width": clipseg.SIZE}
    processor = transformers.CLIPSegProcessor(transformers.ViTImageProcessor(size=size), model.phrases.tokenizer)
    return processor(text=list(PHRASES), images=images, padding=True, return_tensors="pt")


def owlv2_inputs(model: owlv2.Owlv2, images: list[Image.Image]) -> transformers.BatchFeature:
    processor = transformers.Owlv2Processor(model.transform.processor, model.phrases.tokenizer)
    texts = [[phrase] for phrase in PHRASES]
    return processor(
        text=texts, images=images, padding="max_length", max_length=16, truncation=True, return_tensors="pt"
    )


def grounding_dino_inputs(model: grounding_dino.GroundingDino, images: list[Image.Image]) -> transformers.BatchFeature:
    processor = transformers.GroundingDinoProcessor(transformers.GroundingDinoImageProcessor(), model.tokenizer)
    return processor(text=[[phrase] for phrase in PHRASES], images=images, padding=True, return_tensors="pt")


def sam3_inputs(model: sam3.Sam3, images: list[Image.Image]) -> transformers.BatchFeature:
    side = model.transform.size
    images_processor = transformers.Sam3ImageProcessor(size={"height": side, "width": side})
    processor = transformers.Sam3Processor(images_processor, model.phrases.tokenizer)
    return processor(images=images, text=list(PHRASES), return_tensors="pt")


# Ours and an image for each of PHRASES -> what transformers' processor makes of them.
INPUTS: dict[str, Callable[..., transformers.BatchFeature]] = {
    "clipseg": clipseg_inputs,
    "owlv2": owlv2_inputs,
    "grounding_dino": grounding_dino_inputs,
    "sam3": sam3_inputs,
}


def measure(name: str, together: bool, rounds: int) -> None:
    torch.manual_seed(0)
    prompts = [Prompt.of(Text(phrase), target=n, together=together) for n, phrase in enumerate(PHRASES, 1)]
    model = full_size.create(name)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

    @torch.inference_mode()
    def usual() -> None:
        with own_layers(model.network):
            model.network(**INPUTS[name](model, [Image.fromarray(image)] * len(PHRASES)))

    @torch.inference_mode()
    def encode() -> dict[str, torch.Tensor]:
        return model.encode([image])

    def predict(features: dict[str, torch.Tensor]) -> None:
        predict_classes(model, features, prompts, (len(PHRASES), HEIGHT, WIDTH))

    start = time.perf_counter()
    features = encode()
    predict(features)
    first = time.perf_counter() - start
    variants = {"usual": usual, "next images": lambda: predict(encode()), "cached": lambda: predict(features)}
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, work in variants.items():
            start = time.perf_counter()
            work()
            seconds[variant].append(time.perf_counter() - start)
    ratios = {
        variant: statistics.median(usual / ours for usual, ours in zip(seconds["usual"], times, strict=True))
        for variant, times in seconds.items()
    }
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    size = sum(values.numel() for values in features.values()) * 2 / 1e6
    what = f"{name}{', phrases together' if together else ''}: {parameters:.0f} M parameters"
    print(f"{what}, features {size:.1f} MB in half precision, first image {first:.2f} s")
    for variant, times in seconds.items():
        print(f"    {variant:12} {statistics.median(times):7.2f} s   {ratios[variant]:5.1f} times as fast", flush=True)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or INPUTS:
        name, _, rounds = chosen.partition("=")
        measure(name.removesuffix("+"), name.endswith("+"), int(rounds or 3))
