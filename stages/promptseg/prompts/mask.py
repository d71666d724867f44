"""A rough mask of an object."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from promptseg.core.settings import Settings
from promptseg.prompts.base import Per, PromptPart

if TYPE_CHECKING:
    from promptseg.data.masks import Region


class Config(Settings):
    """Keys of a mask in a prompt of params.yaml."""

    mask: bool = False  # the ground truth itself, at the resolution that the model takes
    per: Per = "image"


@dataclass(frozen=True, eq=False)
class Mask(PromptPart):
    """A mask prompt.

    Attributes:
        values: in [0, 1], 1 on the object: (h, w) over the image or, after `to_model`, over the model's input; or a
            Region of the image, whose crop is bool or float, so that many masks take no memory for what is outside.
    """

    KIND: ClassVar[str] = "mask"
    Config: ClassVar[type[Settings]] = Config
    ORACLE: ClassVar[bool] = True

    values: "np.ndarray | Region"

    @classmethod
    def from_mask(cls, config: Any, region, rng: np.random.Generator) -> Self:
        return cls(region)

    @classmethod
    def describe(cls, config: Any) -> str:
        return "mask"

    def to_model(self, transform, height: int, width: int) -> Self:
        return type(self)(transform.from_image(self._full(), transform.size))

    def _full(self) -> np.ndarray:
        """The values over the whole image, (h, w)."""
        if isinstance(self.values, np.ndarray):
            return self.values
        top, left, crop, height, width = self.values
        out = np.zeros((height, width), crop.dtype)
        out[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        return out
