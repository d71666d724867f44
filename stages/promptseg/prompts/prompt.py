"""A prompt as models take it: the parts of one or more kinds for one class of one image."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promptseg.prompts.base import PromptPart

if TYPE_CHECKING:
    from promptseg.prompts.base import Readout


@dataclass(frozen=True, eq=False)
class Prompt:
    """A prompt for one class of one image.

    Attributes:
        target: number of the class, 1, 2, ...
        parts: by kind; empty where the model is not prompted.
        is_classification: the whole image is of one class, so logits are the same everywhere.
        readout: of the model's predictions; None: its default.
        together: the model reads its phrase beside those of the other prompts of the image.
    """

    target: int = 1
    parts: dict[str, PromptPart] = field(default_factory=dict)
    is_classification: bool = False
    readout: "Readout | None" = None
    together: bool = False

    @classmethod
    def of(cls, *parts: PromptPart, **about: Any) -> "Prompt":
        """Build a prompt from its parts and any of the other attributes."""
        return cls(parts={part.KIND: part for part in parts}, **about)

    def get(self, kind: str) -> Any:
        """The part of this kind, of the kind's class, or None."""
        return self.parts.get(kind)

    @property
    def effort(self) -> int:
        """How many clicks, boxes or masks somebody gives; a mask, whose pixels no prediction keeps, is one."""
        return max(1, sum(part.effort for part in self.parts.values()))

    def to_model(self, transform, height: int, width: int) -> "Prompt":
        """Convert to pixels of the model's input. transform: an ImageTransform; height, width: of the image."""
        return self._map(lambda part: part.to_model(transform, height, width))

    def translate(self, x: float, y: float) -> "Prompt":
        """Move from a tile's pixels to those of the image that it was cut from."""
        return self._map(lambda part: part.translate(x, y))

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        """Draw all parts over an image. layer: a PromptLayer; color: red, green, blue."""
        for part in self.parts.values():
            part.draw(layer, color)

    def _map(self, function) -> "Prompt":
        parts = [function(part) for part in self.parts.values()]
        return replace(self, parts={part.KIND: part for part in parts})
