"""How a run is trained, as params.yaml says it."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from promptseg.core.prompt_config import Prompt
from promptseg.core.settings import Fraction, Settings

AUTO = 8  # pictures


class Augment(Settings):
    """How training pictures are changed anew in every epoch, and with them their masks and the prompts from these."""

    flip: list[Literal["horizontal", "vertical"]] = ["horizontal"]  # each for every other picture
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 15.0  # degrees, up to so many either way
    scale: Fraction = 0.1  # a side grows or shrinks by up to this share of it
    brightness: Fraction = 0.1  # so do the values


class Lora(Settings):
    """Low-rank adapters (Hu et al. 2022) beside the attention of a frozen encoder; the part `lora`."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0  # what is added is scaled by alpha / rank


class Train(Settings):
    """How a run is trained."""

    prompt: Prompt = Prompt()
    epochs: PositiveInt
    pretrain: NonNegativeInt = 0  # epochs of a task of the model's own before, such as giving the picture back
    parts: list[str]  # which of the model's parts learn
    lora: Lora = Lora()
    loss: Literal["dice", "bce", "dice_bce", "focal", "dice_focal"] = "dice"
    batch: PositiveInt | Literal["auto"] = (
        8  # pictures that go through together; auto: 8, or in parts where they fit not
    )
    accumulate: PositiveInt = 1  # so many batches make a step
    optimizer: Literal["adam", "adamw", "muon"] = "adam"  # muon: of matrices; the rest is adamw's
    lr: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine"] = "constant"  # cosine: lr falls to 0 along half a wave
    warmup: Fraction = 0.0  # the share of all steps in which lr rises to its full size
    clip: PositiveFloat | None = None  # the gradient's norm is cut to this
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # decay of an average of the weights, kept in place
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast; weights and losses stay fp32
    patience: PositiveInt | None = None  # stop after so many epochs without a better IoU on the validation split
    augment: Augment | None = None

    @property
    def pictures(self) -> int:
        """Of a batch, before it is parted where that is auto."""
        return AUTO if self.batch == "auto" else self.batch

    @pydantic.model_validator(mode="after")
    def _can_be_learned(self):
        if self.prompt.kind == "automatic":
            raise ValueError("prompt: nothing is learned from automatic masks; train with points or box")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("parts names something twice")
        if "lora" in self.model_fields_set and "lora" not in self.parts:
            raise ValueError("lora belongs to parts: [lora]")
        return self
