"""params.yaml of this folder as typed settings."""

from pathlib import Path
from typing import Literal

from promptseg.core.settings import Fraction, Settings, read_yaml, validate
from promptseg.core.train_config import Train
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from world.kinds import KINDS

Kind = Literal[tuple(KINDS)]


class SamTraining(Settings):
    """Training of SAM or a relative, on images that are rendered anew in each epoch.

    Corrections and a curriculum are SAM's alone; its relatives are trained with one prompt per mask. The epochs of the
    curriculum have cross-entropy instead of the focal loss.
    """

    kinds: dict[str, PositiveFloat]  # of images, each with its share
    images: PositiveInt  # of an epoch
    val_images: PositiveInt
    boxes: PositiveInt  # box prompts of an image
    points: NonNegativeInt = 0  # single-point prompts of an image
    jitter: NonNegativeFloat  # standard deviation of a box's corners, as a share of its sides
    corrections: NonNegativeInt = 0  # points after the first prompt, each where the previous mask is wrong
    corrected_share: Fraction = 0.0  # of the images that get corrections
    curriculum: dict[str, PositiveInt] = {}  # kinds of the first epochs, in this order: number of epochs
    train: Train

    @model_validator(mode="after")
    def _complete(self):
        for key, given in (("kinds", self.kinds), ("curriculum", self.curriculum)):
            if unknown := sorted(given.keys() - KINDS.keys()):
                raise ValueError(f"{key}: unknown {unknown[0]!r}; known: {', '.join(KINDS)}")
        _check_train(self.train)
        return self


class PhraseSplits(Settings):
    """Records with phrases for models that take text."""

    kind: Kind  # of images
    train: PositiveInt  # records
    val: PositiveInt
    test: PositiveInt
    support: PositiveInt
    negative_share: Fraction  # of the records whose phrase has no referent in the image


class ClipTraining(Settings):
    """Training of CLIP or CLIPSeg, on groups of images that are rendered anew in each epoch."""

    kind: Kind  # of images
    groups: PositiveInt  # of an epoch; train.batch_size counts groups
    val_groups: PositiveInt
    group_size: PositiveInt  # images
    positive_phrases: PositiveInt  # phrases of an image that have a referent in it
    negative_phrases: NonNegativeInt  # phrases of an image that have none
    train: Train

    @model_validator(mode="after")
    def _complete(self):
        _check_train(self.train)
        return self


class Evaluation(Settings):
    """Test images for SAM and its relatives."""

    images: PositiveInt
    prompts: PositiveInt  # boxes of an image; half of their objects get a point prompt as well


class Pretraining(Settings):
    """All of params.yaml."""

    seed: NonNegativeInt = 0
    phrases: PhraseSplits
    sam: SamTraining
    medsam: SamTraining
    pa_sam: SamTraining
    clip: ClipTraining
    clipseg: ClipTraining
    test: Evaluation

    @model_validator(mode="after")
    def _prompts_fit_models(self):
        if self.sam.boxes != self.sam.points:
            raise ValueError("sam: as many points as boxes are needed")
        for name in ("medsam", "pa_sam"):
            if getattr(self, name).points:
                raise ValueError(f"{name}: it is trained with boxes alone; leave out points")
        return self


def load(path: Path = Path("params.yaml")) -> Pretraining:
    """Read and validate params.yaml.

    Raises:
        UserError: the file is missing, or a key or value in it is wrong; one line names it.
    """
    return validate(Pretraining, read_yaml(path), str(path))


def _check_train(train: Train) -> None:
    """Refuse settings that fine-tuning fills in and pretraining does not."""
    if not isinstance(train.batch_size, int):
        raise ValueError("train.batch_size must be a number here")
    if train.lr is None:
        raise ValueError("train.lr must be given here")
