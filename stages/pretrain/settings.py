"""params.yaml of this folder as typed settings."""

from pathlib import Path
from typing import Literal

import yaml
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.core.params import Settings
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from world.kinds import KINDS


class SamSegmenter(Settings):
    """How a network of SAM's kind is trained: on pictures drawn anew in each epoch, and asked as a person would ask.

    corrections, corrected, easy: of SAM itself, which learns from as many points as boxes; its relatives are asked once.
    The easy epochs have cross-entropy in place of the focal loss.
    """

    kinds: dict[str, PositiveFloat]  # of the pictures, each with its share
    pictures: PositiveInt  # in an epoch
    val: PositiveInt  # pictures to measure on
    boxes: PositiveInt  # a picture
    points: NonNegativeInt = 0  # a picture, one a prompt
    jitter: NonNegativeFloat  # of a box's corners, the deviation as a share of its sides
    corrections: NonNegativeInt = 0  # points after the first prompt, each where the answer before was wrong
    corrected: params.Fraction = 0.0  # the share of the pictures that get any; the others are asked once
    easy: dict[str, PositiveInt] = {}  # kinds of pictures, one after the other, each for so many of the first epochs
    train: params.Train

    @model_validator(mode="after")
    def _known(self):
        for key, given in (("kinds", self.kinds), ("easy", self.easy)):
            if unknown := sorted(given.keys() - KINDS.keys()):
                raise ValueError(f"{key}: unknown {unknown[0]!r}; known: {', '.join(KINDS)}")
        if self.train.batch == "auto":
            raise ValueError("train.batch must be a number here")
        return self


class Phrases(Settings):
    """What is written down of pictures and phrases, for models that are asked in words."""

    kind: Literal[tuple(KINDS)]  # of the pictures
    train: PositiveInt  # rows
    val: PositiveInt
    test: PositiveInt
    examples: PositiveInt
    absent: params.Fraction  # the share of rows whose phrase is true of nothing in the picture


class Told(Settings):
    """How a network that understands words is trained: on groups of pictures, drawn anew in each epoch."""

    kind: Literal[tuple(KINDS)]  # of the pictures
    groups: PositiveInt  # in an epoch; train.batch counts groups
    val: PositiveInt  # groups to measure on
    group: PositiveInt  # pictures in one
    true_phrases: PositiveInt  # phrases a picture that are true of something in it
    false_phrases: NonNegativeInt  # phrases a picture that are true of nothing in it
    train: params.Train


class Test(Settings):
    """How many pictures of the test split SAM and its relatives are asked about, for each target."""

    pictures: PositiveInt
    prompts: PositiveInt  # a picture; half of its objects are asked for by a point as well as by a box


class Pretrain(Settings):
    """All of params.yaml."""

    seed: NonNegativeInt = 0
    phrases: Phrases
    sam: SamSegmenter
    medsam: SamSegmenter
    pa_sam: SamSegmenter
    clip: Told
    clipseg: Told
    test: Test

    @model_validator(mode="after")
    def _askable(self):
        if self.sam.boxes != self.sam.points:
            raise ValueError("sam: as many points as boxes")
        for name in ("medsam", "pa_sam"):
            if getattr(self, name).points:
                raise ValueError(f"{name}: it is asked by boxes alone")
        return self


def load(path: Path = Path("params.yaml")) -> Pretrain:
    """Read and check params.yaml of the current folder. Raises UserError with one line that names the key."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run this in stages/pretrain") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return params.validate(Pretrain, raw, str(path))
