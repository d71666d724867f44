"""params.yaml of this folder as typed settings."""

from pathlib import Path
from typing import Literal

import yaml
from promptseg.base import params
from promptseg.base.errors import Problem
from promptseg.base.params import Settings
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from world.kinds import KINDS


class Interactive(Settings):
    """How a network of SAM's kind is trained: on pictures drawn anew in each epoch, and asked as a person would ask."""

    kinds: dict[str, PositiveFloat]  # of the pictures, each with its share
    pictures: PositiveInt  # in an epoch
    val: PositiveInt  # pictures to measure on
    prompts: PositiveInt  # a picture: half of them boxes, half of them points
    corrections: NonNegativeInt  # points after the first prompt, each where the answer before was wrong
    train: params.Train

    @model_validator(mode="after")
    def _known(self):
        unknown = sorted(self.kinds.keys() - KINDS.keys())
        if unknown:
            raise ValueError(f"kinds: unknown {unknown[0]!r}; known: {', '.join(KINDS)}")
        if self.prompts % 2:
            raise ValueError("prompts must be even: half are boxes, half are points")
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


class Test(Settings):
    """How many pictures of the test split SAM and its relatives are asked about, for each target."""

    pictures: PositiveInt
    prompts: PositiveInt  # a picture; half of its objects are asked for by a point as well as by a box


class Pretrain(Settings):
    """All of params.yaml."""

    seed: NonNegativeInt = 0
    phrases: Phrases
    sam: Interactive
    test: Test


def load(path: Path = Path("params.yaml")) -> Pretrain:
    """Read and check params.yaml of the current folder. Raises Problem with one line that names the key."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path}: not found; run this in stages/pretrain") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Problem(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return params.validate(Pretrain, raw, str(path))
