"""A box around an object."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from promptseg.core.errors import UserError
from promptseg.core.settings import Fraction, Seeds, Settings
from promptseg.prompts.base import Option, Per, PromptPart, Values
from promptseg.prompts.command_line import as_text, numbers

if TYPE_CHECKING:
    from promptseg.data.masks import Region


class Config(Settings):
    """Keys of a box in a prompt of params.yaml."""

    box: bool = False  # the bounding box of the ground truth
    # each side moves outward by up to this share of the image's longer side; a list: a curve over these
    jitter: Fraction | Values = 0.0
    per: Per = "image"
    seeds: Seeds | None = None  # of the jitter, in place of the study's seed


@dataclass(frozen=True, eq=False)
class Box(PromptPart):
    """A box prompt.

    Attributes:
        corners: (4,) float x0, y0, x1, y1 in pixels: the first and the last column and row that belong to the box, so
            that it has no width where it is around a single column.
    """

    KIND: ClassVar[str] = "box"
    Config: ClassVar[type[Settings]] = Config
    ORACLE: ClassVar[bool] = True
    COMBINES: ClassVar[frozenset[str]] = frozenset({"points"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--box", "X0,Y0,X1,Y1 in pixels around an object; several: their union"),
    )

    corners: np.ndarray

    @classmethod
    def around(cls, region: "Region") -> Self:
        """The bounding box of a region that is not empty, as segment_anything's `batched_mask_to_box` has it."""
        from promptseg.data import masks

        box = masks.region_box(region)
        assert box is not None  # as the region has pixels
        return cls(np.array(box) - [0, 0, 1, 1])

    @classmethod
    def from_mask(cls, config: Any, region, rng: np.random.Generator) -> Self:
        """Take the bounding box; with jitter each side moves outward by a uniform share of the image's longer side.

        MedSAM (Ma et al. 2024) trains with 0 to 20 of 1024 pixels, a jitter of 0.02.
        """
        box = cls.around(region)
        if not config.jitter:
            return box
        last = [region.width - 1, region.height - 1]
        moved = rng.uniform(0, config.jitter * max(region.height, region.width), 4)
        return cls(np.clip(box.corners + moved * [-1, -1, 1, 1], 0, last * 2))

    @classmethod
    def describe(cls, config: Any) -> str:
        return "box"

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        boxes = [cls(np.array(numbers(text, 4, "--box"))) for text in values["--box"]]
        for box in boxes:
            box.check_filled("--box")
        return [boxes]

    def check_inside(self, height: int, width: int, name: str) -> None:
        self.check_filled(f"{name}: the box")
        x0, y0, x1, y1 = self.corners
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise UserError(f"{name}: the box {as_text(self.corners)} exceeds the image, which is {width}x{height}")

    def to_model(self, transform, height: int, width: int) -> Self:
        return replace(self, corners=self.corners * np.tile(transform.scale(height, width), 2))

    def translate(self, x: float, y: float) -> Self:
        return replace(self, corners=self.corners + [x, y, x, y])

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        layer.box(self.corners + [0, 0, 1, 1], color)  # the last pixel is inside

    def to_json(self) -> dict[str, Any]:
        return {"box": np.round(self.corners, 2).tolist()}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        return cls(np.array(entry["box"], float)) if "box" in entry else None

    def check_filled(self, what: str) -> None:
        """Raise UserError where the box has no area, or a corner is NaN."""
        x0, y0, x1, y1 = self.corners
        if not (x0 < x1 and y0 < y1):
            raise UserError(f"{what} {as_text(self.corners)}: empty; give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1")
