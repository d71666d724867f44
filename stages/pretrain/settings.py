"""params.yaml of this folder as typed settings."""

from pathlib import Path
from typing import Literal

from promptseg.core.settings import Fraction, Settings, read_yaml, validate
from promptseg.core.train_config import Train
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from world.scene import KINDS

Kind = Literal[tuple(KINDS)]  # of images


class Prompts(Settings):
    """Images, and the prompts of each."""

    kinds: dict[Kind, PositiveFloat]  # of images, each with its share
    boxes: PositiveInt  # box prompts of an image
    points: NonNegativeInt = 0  # single-point prompts of an image
    jitter: NonNegativeFloat  # standard deviation of a box's corners, as a share of its sides


class Training(Settings):
    """Training on what is rendered anew in each epoch."""

    train: Train

    @model_validator(mode="after")
    def _check_train(self):
        """Refuse what fine-tuning fills in and pretraining does not."""
        if not isinstance(self.train.batch_size, int) or self.train.lr is None:
            raise ValueError("train.batch_size and train.lr must be numbers here")
        return self


class SamTraining(Prompts, Training):
    """Training of SAM or a relative. Corrections and a curriculum are for SAM and SAM 2; see sam_models.py."""

    images: PositiveInt  # of an epoch
    val_images: PositiveInt
    corrections: NonNegativeInt = 0  # points after the first prompt, each where the previous mask is wrong
    corrected_share: Fraction = 0.0  # of the images that get corrections
    pretext_lr: PositiveFloat | None = None  # of SAM 2's pretext epochs; None: that of `train`
    curriculum: dict[Kind, PositiveInt] = {}  # kinds of the first epochs, in this order: number of epochs


class ClipTraining(Training):
    """Training of CLIP or CLIPSeg, on groups of images."""

    kind: Kind
    groups: PositiveInt  # of an epoch; train.batch_size counts groups
    val_groups: PositiveInt
    group_size: PositiveInt  # images
    positive_phrases: PositiveInt  # phrases of an image that have a referent in it
    negative_phrases: NonNegativeInt  # phrases of an image that have none


class PhraseSplits(Settings):
    """Records with phrases for models that take text."""

    kind: Kind
    train: PositiveInt  # records
    val: PositiveInt
    test: PositiveInt
    support: PositiveInt
    negative_share: Fraction  # of the records whose phrase has no referent in the image


class Evaluation(Settings):
    """Test images for SAM and its relatives."""

    images: PositiveInt
    prompts: PositiveInt  # boxes of an image; half of their objects get a point prompt as well


class Pretraining(Settings):
    """All of params.yaml."""

    seed: NonNegativeInt = 0
    phrases: PhraseSplits
    sam: SamTraining
    sam2: SamTraining
    medsam: SamTraining
    pa_sam: SamTraining
    clip: ClipTraining
    clipseg: ClipTraining
    test: Evaluation

    @model_validator(mode="after")
    def _prompts_fit_models(self):
        for name in ("sam", "sam2"):
            if getattr(self, name).boxes != getattr(self, name).points:
                raise ValueError(f"{name}: as many points as boxes are needed")
        if self.medsam.points or self.pa_sam.points:
            raise ValueError("medsam and pa_sam are trained with boxes alone; leave out points")
        return self


def load(path: Path = Path("params.yaml")) -> Pretraining:
    """Read and validate params.yaml. Raises UserError that names the first wrong key or value."""
    return validate(Pretraining, read_yaml(path), str(path))
