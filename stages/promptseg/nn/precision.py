"""Precision of a frozen encoder: fp32, or bf16 by torch.autocast; `models.<name>.precision` in params.yaml.

Precision changes results, so it is a param and does not follow the device or the environment: the checkpoint stage
writes it into config.json, and DVC and the embedding cache, which identify a checkpoint by its digest, keep apart what
is computed with either. `auto` is measured once, by that stage on its machine: bf16 if the encoder is faster with it
and masks stay the same. The result is in the checkpoint, so whoever pulls that computes the same.

fp32 is the default. Measured with SAM 2 Hiera-tiny on 9 real images (4 of fires, 3 of pets, 2 of VOC), one point and
one box for each of up to 4 objects, 42 masks: IoU of the masks of bf16 with those of fp32 is 0.998 in the median, 0.960
in the mean and 0.145 at worst, and below 0.99 for 9 masks. Encoding took 0.71 of the processor time of fp32 (0.50 to
0.86), measured on 2 CPU cores with AVX-512 BF16 and without AMX, which other processes used at the same time.
"""

import time
from typing import Literal, TypeVar

import numpy as np
import torch

from promptseg.core.errors import UserError
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points
from promptseg.prompts.text import Text

S = TypeVar("S", bound=Segmenter)
Precision = Literal["fp32", "bf16"]
MIN_IOU = 0.99  # `auto`: IoU of every mask with that of fp32
MIN_SPEEDUP = 1.1  # `auto`: time of fp32 over time of bf16
SIZE, CONTRAST = 256, 12  # of the synthetic images, in pixels and in gray levels


def check(precision: str, kind: type[Segmenter]) -> None:
    """Raise UserError unless models of this class can compute with a precision ("fp32", "bf16" or "auto")."""
    if precision != "fp32" and not kind.ENCODER:
        raise UserError(f"params.yaml: models.{kind.NAME}.precision: it has no frozen encoder; set fp32")


def apply(segmenter: S, precision: Precision) -> S:
    """Let the encoder compute in a precision; returns the same segmenter. An encoder that is trained needs fp32."""
    segmenter.encoder_precision = precision
    return segmenter


def stored(segmenter: S, config: dict) -> S:
    """Let the encoder compute in the precision of its checkpoint's config.json; returns the same segmenter."""
    return apply(segmenter, config.get("precision", "fp32"))


def configuration(precision: str, segmenter: Segmenter) -> dict[str, str]:
    """The entry of a checkpoint's config.json; none for fp32.

    Args:
        precision: "fp32", "bf16" or "auto".
        segmenter: on which `auto` is measured.
    """
    chosen = choose(segmenter) if precision == "auto" else precision
    return {} if chosen == "fp32" else {"precision": chosen}


@torch.inference_mode()
def choose(segmenter: Segmenter) -> Precision:
    """Measure both precisions on synthetic images, on the device that stages compute on.

    Returns:
        "bf16" if the encoder is at least MIN_SPEEDUP times as fast with it and every mask has an IoU above MIN_IOU
        with that of fp32, else "fp32". The segmenter is left in fp32.
    """
    segmenter.to("cuda" if torch.cuda.is_available() else "cpu")
    images = [_image_with_boxes(seed) for seed in range(3)]
    seconds: dict[str, float] = {}
    masks: dict[str, list[torch.Tensor]] = {}
    for precision in ("fp32", "bf16"):
        apply(segmenter, precision)
        times, masks[precision] = [], []
        for image, boxes in images:
            start = time.perf_counter()
            features = {name: values.cpu() for name, values in segmenter.encode([image]).items()}
            times.append(time.perf_counter() - start)
            features = {name: values.to(segmenter.device) for name, values in features.items()}
            masks[precision] += _masks(segmenter, features, boxes)
        seconds[precision] = min(times)  # the first one warms up, and other processes only ever add time
    apply(segmenter, "fp32")
    worst = min(_iou(*pair) for pair in zip(masks["fp32"], masks["bf16"]))
    return "bf16" if seconds["fp32"] > MIN_SPEEDUP * seconds["bf16"] and worst > MIN_IOU else "fp32"


def _image_with_boxes(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """An image of discs on mottled ground, (SIZE, SIZE, 3) uint8, and the boxes of the discs.

    Their contrast is less than that of the ground, as masks of plain objects are the same in any precision.
    """
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.normal(110, 15, (SIZE // 8, SIZE // 8, 3)), np.ones((8, 8, 1)))
    image = ground + rng.normal(0, 6, (SIZE, SIZE, 3))
    y, x = np.mgrid[:SIZE, :SIZE]
    boxes = []
    for cell in rng.permutation(9)[:4]:  # of 3 x 3, so that none covers another
        cy, cx = (SIZE / 3) * (np.array(divmod(int(cell), 3)) + 0.5) + rng.uniform(-8, 8, 2)
        r = rng.uniform(14, 30)
        image[(x - cx) ** 2 + (y - cy) ** 2 < r * r] += rng.choice([-CONTRAST, CONTRAST])
        boxes.append(np.array([cx - r, cy - r, cx + r, cy + r]))
    return np.clip(image, 0, 255).astype(np.uint8), boxes


def _prompts(kinds: frozenset[str], boxes: list[np.ndarray]) -> list[list[Prompt]]:
    """Prompts for the discs, a list for each kind that a model takes."""
    phrases = ("a disc", "spots", "the background")
    by_kind = {
        "points": [Prompt.of(Points(box.reshape(2, 2).mean(axis=0)[None], np.array([1]))) for box in boxes],
        "box": [Prompt.of(Box(box)) for box in boxes],
        "text": [Prompt.of(Text(phrase)) for phrase in phrases],
        "none": [Prompt()],
    }
    return [prompts for kind, prompts in by_kind.items() if kind in kinds]


def _masks(segmenter: Segmenter, features: Features, boxes: list[np.ndarray]) -> list[torch.Tensor]:
    """Masks for all prompts: logits above 0, or above their median where that is no pixel or all of them."""
    masks = []
    for prompts in _prompts(segmenter.PROMPTS, boxes):
        inputs = [prompt.to_model(segmenter.transform, SIZE, SIZE) for prompt in prompts]
        for logits in segmenter.decode(features, [inputs])[0]:
            above = logits > 0
            masks.append(above if above.any() and not above.all() else logits > logits.median())
    return masks


def _iou(mask: torch.Tensor, target: torch.Tensor) -> float:
    return float((mask & target).sum() / (mask | target).sum().clamp(min=1))
