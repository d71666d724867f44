"""Five phrases for one image: each text model against the usual processor and model call, which repeats the image.

    PYTHONPATH=stages python tests/benchmarks/bench_text_models.py [MODEL ...]

Random weights in the layout of the release, an image of 640 x 480. The usual call repeats the image for each phrase, in
one batch; ours is `predict_classes`, which ends with probabilities at the size of the image. Both run in turn, so that
a busy machine slows them alike: times are medians over the rounds, ratios are of times of one round, `first image`
pays for the phrases, and `cached` has the features from an earlier run. A new model is an entry in MODELS.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import transformers
from PIL import Image
from promptseg.inference.class_maps import predict_classes
from promptseg.models import clipseg, grounding_dino, owlv2
from promptseg.nn import text_encoder
from promptseg.nn.segmenter import Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.text import Text

ROUNDS = 3
PHRASES = ("a road", "a building with windows", "a tree", "a person walking", "a car")
HEIGHT, WIDTH = 480, 640
LETTERS = {"vocab_size": 514, "pad_token_id": 513, "bos_token_id": 512, "eos_token_id": 513}  # text_encoder.letters


class Case(NamedTuple):
    """How a model is built, and called as usual.

    Attributes:
        create: -> ours, with random weights in the layout of the release.
        inputs: ours, an image for each of PHRASES -> what transformers' processor makes of them.
    """

    create: Callable[[], Segmenter]
    inputs: Callable[..., transformers.BatchFeature]


def create_clipseg() -> Segmenter:
    config = transformers.CLIPSegConfig(
        text_config=LETTERS, vision_config={"patch_size": 16}, use_complex_transposed_convolution=True
    )
    network = transformers.CLIPSegForImageSegmentation(config)
    return clipseg.ClipSeg(network, text_encoder.letters(), clipseg.SIZE)


def create_owlv2() -> Segmenter:
    config = transformers.Owlv2Config(text_config=LETTERS, vision_config={"image_size": 960})
    return owlv2.Owlv2(transformers.Owlv2ForObjectDetection(config), text_encoder.letters())


def create_grounding_dino() -> Segmenter:
    config = transformers.GroundingDinoConfig(
        backbone_config=dict(
            model_type="swin", embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7,
            out_indices=[2, 3, 4],
        )
    )  # fmt: skip
    network, size = transformers.GroundingDinoForObjectDetection(config), grounding_dino
    return size.GroundingDino(network, size.letters(), size.LONGEST, size.SHORTEST)


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


MODELS = {
    "clipseg": Case(create_clipseg, clipseg_inputs),
    "owlv2": Case(create_owlv2, owlv2_inputs),
    "grounding_dino": Case(create_grounding_dino, grounding_dino_inputs),
}


def measure(name: str) -> None:
    torch.manual_seed(0)
    case, prompts = MODELS[name], [Prompt.of(Text(phrase), target=n) for n, phrase in enumerate(PHRASES, 1)]
    model = case.create().eval()
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

    @torch.inference_mode()
    def usual() -> None:
        model.network(**case.inputs(model, [Image.fromarray(image)] * len(PHRASES)))

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
    for _ in range(ROUNDS):
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
    print(f"{name}: {parameters:.0f} M parameters, features {size:.1f} MB in half precision, first image {first:.2f} s")
    for variant, times in seconds.items():
        print(f"    {variant:12} {statistics.median(times):7.2f} s   {ratios[variant]:5.1f} times as fast", flush=True)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or MODELS:
        measure(chosen)
