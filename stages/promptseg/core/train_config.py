"""How a run is trained, as params.yaml says it.

Names of losses and optimizers are checked against their registries (`training.losses`, `training.optimizers`) by
`promptseg check` and when training starts, so that reading params.yaml does not import torch.
"""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from promptseg.core.settings import Fraction, Seeds, Settings
from promptseg.prompts import PromptConfig

AUTO_BATCH_SIZE = 8  # images


class Augment(Settings):
    """Random changes of training images, their masks and the prompts from these, anew in each epoch."""

    flip: list[Literal["horizontal", "vertical"]] = ["horizontal"]  # each with probability 0.5
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 15.0  # degrees, uniform in both directions
    scale: Fraction = 0.1  # relative change of the side
    brightness: Fraction = 0.1  # relative change of the values


class Lora(Settings):
    """Low-rank adapters (Hu et al. 2022) beside the attention of a frozen encoder; trainable `lora`."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0  # the update is scaled by alpha / rank


class Train(Settings):
    """Training of a run. What is left out and has no default here is the model's own default (`TRAIN_DEFAULTS`)."""

    prompt: PromptConfig = PromptConfig()
    seeds: Seeds | None = None  # training is repeated with each, in place of the study's seed
    epochs: PositiveInt
    train_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # of the training groups; smaller ones are nested
    pretext_epochs: NonNegativeInt = 0  # epochs of the model's pretext task before, such as reconstruction
    trainable: list[str] | None = None  # names of the model's trainable parts
    lora: Lora = Lora()
    loss: str | None = None  # of training.losses
    batch_size: PositiveInt | Literal["auto"] | None = None  # images; auto: 8, split where they do not fit into memory
    grad_accumulation_steps: PositiveInt = 1  # batches of an optimizer step
    optimizer: str = "adam"  # of training.optimizers
    lr: PositiveFloat | None = None
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Fraction = 0.0  # share of all steps in which lr rises linearly
    max_grad_norm: PositiveFloat | None = None
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # the averaged weights are validated and saved
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast; weights and losses stay fp32
    patience: PositiveInt | None = None  # stop after so many epochs without a better validation IoU
    keep: Literal["best", "last"] = "best"  # epoch whose weights are saved: of the best validation IoU, or the last one
    augment: Augment | None = None
    log: Literal["tensorboard"] | None = None  # the curve as events too, data/resume/<run>.tensorboard

    def completed(self, defaults: dict) -> "Train":
        """The same settings with a model's defaults where nothing was given."""
        missing = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        return self.model_copy(update=missing)

    @property
    def images_per_batch(self) -> int | None:
        """Images of a batch; with `batch_size: auto` the largest that is tried, None where nothing was given."""
        return AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.prompt.kind == "automatic":
            raise ValueError("prompt: automatic masks have no prompts to train with; use points or box")
        if self.prompt.seeds:
            raise ValueError("prompt: seeds belongs to train itself")
        if self.prompt.together:
            raise ValueError("prompt: together is for the test; images that differ in their prompts make no batch")
        if self.prompt.sweep is not None:
            raise ValueError(f"prompt: {self.prompt.sweep.by} in several steps is for the test; train with one value")
        if self.trainable is not None and len(set(self.trainable)) < len(self.trainable):
            raise ValueError("trainable names something twice")
        if "lora" in self.model_fields_set and "lora" not in (self.trainable or []):
            raise ValueError("lora belongs to trainable: [lora]")
        return self


class CompleteTrain(Train):
    """Settings of which none is missing, with a number as batch_size; `training.train_settings.check` returns them."""

    trainable: list[str]
    loss: str
    batch_size: PositiveInt
    lr: PositiveFloat
