"""No prompt from outside: the model generates all masks from a grid of points."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from promptseg.core.errors import UserError
from promptseg.core.settings import Fraction, Settings
from promptseg.prompts.base import Option, PromptPart


class AutomaticMasks(Settings):
    """Settings of the mask generator, as segment_anything's SamAutomaticMaskGenerator has them."""

    points: PositiveInt = 32  # a side, of the grid
    iou: Annotated[float, Field(ge=0.0)] = 0.88  # masks with a larger predicted IoU pass; 0: all
    stability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.95  # masks with at least this stability pass
    nms: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7  # box IoU above which the mask of lower predicted IoU is removed
    crop_layers: Annotated[int, Field(ge=0, le=4)] = 0  # the image again in 4 crops, in 16 and so on
    crop_nms: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7  # the same between crops; the smaller crop's mask stays
    crop_overlap: Fraction = 512 / 1500  # share of the image's shorter side
    crop_fewer_points: PositiveInt = 1  # each layer's grid has this many times fewer points a side
    min_area: NonNegativeInt = 0  # smaller holes are filled and smaller islands removed

    @model_validator(mode="after")
    def _points_left(self):
        if self.points < self.crop_fewer_points**self.crop_layers:
            raise ValueError("crop_fewer_points leaves no point for the smallest crops")
        return self


class Config(Settings):
    """Keys of automatic masks in a prompt of params.yaml."""

    automatic: bool | AutomaticMasks = False  # true: with the defaults of AutomaticMasks


class Automatic(PromptPart):
    """Automatic mask generation, which has settings and no coordinates.

    Args:
        settings: of the mask generator.
    """

    KIND: ClassVar[str] = "automatic"
    Config: ClassVar[type[Settings]] = Config
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--auto", "all masks that the model generates by itself", bool),
        Option("--auto-points", "points a side of the grid of --auto; 32", int),
    )

    def __init__(self, settings: AutomaticMasks):
        self.settings = settings

    @classmethod
    def describe(cls, config: Any) -> str:
        return "automatic masks"

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        if not values["--auto"]:
            raise UserError("--auto-points belongs to --auto")
        points = values["--auto-points"]
        if points is not None and points < 1:
            raise UserError(f"--auto-points {points}: at least 1 is expected")
        return [[cls(AutomaticMasks(**({} if points is None else {"points": points})))]]
