"""What a frozen encoder computes in: fp32, or its linear layers in bf16. `models.<name>.precision` says which.

It changes results, so it is a param and no matter of the device or the environment: the checkpoint stage writes it
into config.json, and DVC and the embedding cache, which know a checkpoint by its digest, keep apart what is made with
either. `auto` is measured once, by that stage on its machine: bf16 if the encoder is faster with it and the masks stay.
What it found stands in the checkpoint, so whoever pulls that computes the same.

Attention, norms and the sums that run through the network stay in fp32: the linear layers are most of the work, and on
a CPU without AMX attention is no faster in bf16. fp32 is the default: with real SAM 2 the IoU of the masks with fp32's,
68 points and boxes on 13 real pictures, is 0.999 in the median, but 0.990 in the mean and 0.786 at worst, for bf16 in
all linear layers, and no better at worst for those of the MLPs alone; an encoder took three quarters of the time.
"""

import time
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from promptseg.core.errors import UserError
from promptseg.nn.segmenter import Features, Segmenter
from promptseg.prompts import Prompt

S = TypeVar("S", bound=Segmenter)
IOU = 0.99  # every mask must agree better than this with fp32's
FASTER = 1.1  # times; for less, fp32 stays
SIZE, CONTRAST = 256, 12  # of the drawn pictures, in pixels and in gray levels


class HalfLinear(nn.Linear):
    """A linear layer whose product is in bfloat16. What goes in and out, and the stored weights, stay float32.

    rounded: a buffer with the weights in bfloat16; made once, as rounding them takes as long as one small picture.
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias.bfloat16()
        return F.linear(values.bfloat16(), self.rounded, bias).float()


def check(wanted: str, kind: type[Segmenter]) -> None:
    """Raise UserError unless a model of this kind can compute so."""
    if wanted != "fp32" and not kind.ENCODER:
        raise UserError(f"params.yaml: models.{kind.NAME}.precision: it has no frozen encoder, so only fp32 can be asked")


def apply(segmenter: S, precision: str) -> S:
    """The same segmenter, whose encoder computes in `fp32` or `bf16` from now on; one that learns has to be fp32."""
    for name, module in segmenter.named_modules():
        if not name.startswith(segmenter.ENCODER):
            continue
        if type(module) is nn.Linear and precision == "bf16":
            module.__class__ = HalfLinear
            module.register_buffer("rounded", module.weight.detach().bfloat16(), persistent=False)
        elif type(module) is HalfLinear and precision == "fp32":
            module.__class__ = nn.Linear
            del module.rounded
    return segmenter


def stored(segmenter: S, config: dict) -> S:
    """The same segmenter, which computes as its checkpoint's config.json says."""
    return apply(segmenter, config.get("precision", "fp32"))


def configuration(wanted: str, segmenter: Segmenter) -> dict:
    """What config.json of a checkpoint says of it: nothing for fp32. wanted: fp32, bf16 or auto."""
    precision = choose(segmenter) if wanted == "auto" else wanted
    return {} if precision == "fp32" else {"precision": precision}


@torch.inference_mode()
def choose(segmenter: Segmenter) -> str:
    """`bf16` if this machine's encoder is faster with it and all masks of drawn pictures stay, else `fp32`.

    The segmenter is left in fp32, on the device that stages would compute on.
    """
    segmenter.to("cuda" if torch.cuda.is_available() else "cpu")
    pictures = [_drawn(seed) for seed in range(3)]
    seconds, masks = {}, {}
    for precision in ("fp32", "bf16"):
        apply(segmenter, precision)
        times, masks[precision] = [], []
        for picture, asked in pictures:
            start = time.perf_counter()
            features = {name: values.cpu() for name, values in segmenter.encode([picture]).items()}
            times.append(time.perf_counter() - start)
            features = {name: values.to(segmenter.device) for name, values in features.items()}
            masks[precision] += _masks(segmenter, features, asked)
        seconds[precision] = min(times)  # the first one warms up; what others run at the same time only ever adds
    apply(segmenter, "fp32")
    least = min(_iou(*pair) for pair in zip(masks["fp32"], masks["bf16"]))
    return "bf16" if seconds["fp32"] > FASTER * seconds["bf16"] and least > IOU else "fp32"


def _drawn(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A picture of discs on a mottled ground, (SIZE, SIZE, 3) uint8, and the boxes round the discs.

    The discs are hardly brighter or darker than the ground is mottled: a plain object keeps its mask in any precision.
    """
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.normal(110, 15, (SIZE // 8, SIZE // 8, 3)), np.ones((8, 8, 1)))
    picture = ground + rng.normal(0, 6, (SIZE, SIZE, 3))
    y, x = np.mgrid[:SIZE, :SIZE]
    boxes = []
    for cell in rng.permutation(9)[:4]:  # of 3 x 3, so that none covers another
        cy, cx = (SIZE / 3) * (np.array(divmod(int(cell), 3)) + 0.5) + rng.uniform(-8, 8, 2)
        r = rng.uniform(14, 30)
        picture[(x - cx) ** 2 + (y - cy) ** 2 < r * r] += rng.choice([-CONTRAST, CONTRAST])
        boxes.append(np.array([cx - r, cy - r, cx + r, cy + r]))
    return np.clip(picture, 0, 255).astype(np.uint8), boxes


def _prompts(kinds: frozenset[str], boxes: list[np.ndarray]) -> list[list[Prompt]]:
    """Questions about the discs, of those kinds that a model takes: one list for each."""
    asked = {
        "points": [Prompt(points=box.reshape(2, 2).mean(axis=0)[None], labels=np.array([1])) for box in boxes],
        "box": [Prompt(box=box) for box in boxes],
        "text": [Prompt(text=phrase) for phrase in ("a disc", "spots", "the background")],
        "none": [Prompt()],
    }
    return [prompts for kind, prompts in asked.items() if kind in kinds]


def _masks(segmenter: Segmenter, features: Features, boxes: list[np.ndarray]) -> list[torch.Tensor]:
    """The answers as masks: where logits are above 0, or above their median where that is nowhere or everywhere."""
    masks = []
    for prompts in _prompts(segmenter.PROMPTS, boxes):
        asked = [segmenter.frame.prompt(prompt, SIZE, SIZE) for prompt in prompts]
        for logits in segmenter.decode(features, [asked])[0]:
            above = logits > 0
            masks.append(above if above.any() and not above.all() else logits > logits.median())
    return masks


def _iou(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one & other).sum() / (one | other).sum().clamp(min=1))
