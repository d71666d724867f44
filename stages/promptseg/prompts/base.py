"""What every kind of prompt has in common.

Coordinates are continuous: pixel i covers [i, i + 1), so its center is i + 0.5. The corners of a box are the numbers of
its first and of its last pixel, as segment_anything's `batched_mask_to_box` and MedSAM have them; SAM's prompt encoder
adds half a pixel of its input to them.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from promptseg.core.settings import Fraction, Settings

if TYPE_CHECKING:
    from promptseg.data.masks import Region
    from promptseg.nn.image_transform import ImageTransform
    from promptseg.prompts.support import SupportImage
    from promptseg.report.prompt_layer import PromptLayer

Per = Literal["image", "instance"]  # one prompt for the whole mask of a class, or one for each of its instances
# What becomes the probability map of a prompt that asks for all instances: the semantic map, or at each pixel the best
# of the instances
Readout = Literal["semantic", "instances"]
Values = Annotated[list[Fraction], Field(min_length=2)]  # all of which one run tries, see `Sweep`


class Sweep(NamedTuple):
    """What one run tries in several steps, and scores in each.

    Attributes:
        by: key in params.yaml: `clicks`, `jitter` or `offset`.
        steps: numbers of clicks, or the values of the key.
    """

    by: str
    steps: Sequence[float]


@dataclass(frozen=True, eq=False)
class PromptSource:
    """What the prompts of one record are built from.

    Attributes:
        id: of the record; with `seed` it decides every random choice.
        mask: (h, w) uint8 ground truth, 0 background, i class i, 255 ignored.
        classes: names of classes 1, 2, ...
        seed: of the study.
        text: what the mask shows, in words, where the dataset says so for each record; else empty.
        support: for each class the support images that show it, where they are wanted; else empty.
        requested: numbers of the classes to prompt for; None: all.
        is_classification: the whole image is of one class.
        instances: (h, w) uint16, the number of the instance at each pixel of a class; None: connected components.
        words: for each class the words that a text prompt uses; empty: the names.
    """

    id: str
    mask: np.ndarray
    classes: list[str]
    seed: int
    text: str = ""
    support: Mapping[int, Sequence["SupportImage"]] = field(default_factory=dict)
    requested: list[int] | None = None
    is_classification: bool = False
    instances: np.ndarray | None = None
    words: Sequence[str] = ()

    def generator(self) -> np.random.Generator:
        """A generator that depends on (seed, id) alone, whatever process asks for it."""
        digest = hashlib.sha256(f"{self.seed}/{self.id}".encode()).digest()
        return np.random.default_rng(np.frombuffer(digest, np.uint32))


@dataclass(frozen=True)
class Option:
    """An option of `promptseg segment`. type: bool for a flag; str options may be given several times."""

    flag: str
    help: str
    type: type = str


class PromptPart(ABC):
    """One part of a prompt, such as its points or its box; a subclass is a kind of prompt.

    Attributes:
        KIND: name of the kind, which is also its main key in params.yaml.
        Config: its keys in params.yaml, all with defaults; the main key is None or False where it is not used.
        ORACLE: whether it is taken from the ground truth.
        OF_CLASS: whether an oracle prompt is for all of a class: `from_source` takes it, and not `from_mask` for each
            region.
        MODEL_KIND: the kind of what `to_model` returns, where it is another: a model that takes that kind takes this.
        COMBINES: kinds that it may stand beside in one prompt.
        OPTIONS: its options on the command line.
    """

    KIND: ClassVar[str]
    Config: ClassVar[type[Settings]]
    ORACLE: ClassVar[bool] = False
    OF_CLASS: ClassVar[bool] = False
    MODEL_KIND: ClassVar[str | None] = None
    COMBINES: ClassVar[frozenset[str]] = frozenset()
    OPTIONS: ClassVar[tuple[Option, ...]] = ()

    @classmethod
    def from_mask(cls, config: Any, region: "Region", rng: np.random.Generator) -> "PromptPart":
        """Take the oracle prompt for a region of the ground truth. config: a PromptConfig."""
        raise NotImplementedError

    @classmethod
    def from_source(cls, config: Any, source: PromptSource, target: int) -> Self | None:
        """Build the part for all of class `target`; None where there is none for this class."""
        raise NotImplementedError

    @classmethod
    def check(cls, config: Any, classes: list[str], where: str) -> None:
        """Raise UserError unless the settings fit a dataset with these classes. where: what to name in the message."""

    @classmethod
    @abstractmethod
    def describe(cls, config: Any) -> str:
        """Describe the settings in a few words, for tables."""

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        """Build parts from the command line.

        Args:
            values: what was given for each flag of OPTIONS; only called where something was.
            window: values that become black and white in 16-bit images.

        Returns:
            For each class the parts that prompt for it.

        Raises:
            UserError: a value is malformed.
        """
        raise NotImplementedError

    def check_inside(self, height: int, width: int, name: str) -> None:
        """Raise UserError where the part lies outside an image of this size. name: of the image."""

    def check_alone(self) -> None:
        """Raise UserError where the part prompts for nothing without a part of another kind."""

    def to_model(self, transform: "ImageTransform", height: int, width: int) -> "PromptPart":
        """Convert from pixels of a (height, width) image to pixels of the model's input."""
        return self

    def translate(self, x: float, y: float) -> Self:
        """Move from a tile's pixels to those of the image that it was cut from."""
        return self

    def draw(self, layer: "PromptLayer", color: tuple[int, int, int]) -> None:
        """Draw the part over an image."""

    @property
    def effort(self) -> int:
        """How many clicks, boxes or masks somebody gives for it."""
        return int(self.ORACLE)

    def to_json(self) -> dict[str, Any]:
        """Keys of the part in a prediction; coordinates to a hundredth of a pixel, no pixels."""
        return {}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        """Read the part from `to_json`; None where the entry has none of this kind that could be drawn."""
        return None
