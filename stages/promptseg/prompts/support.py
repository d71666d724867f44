"""Other images that show what to segment, with their masks: one-shot and few-shot segmentation."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from promptseg.core.errors import UserError
from promptseg.core.settings import Settings
from promptseg.prompts.base import Option, PromptPart, PromptSource

Step = Literal["darken", "blur", "crop"]
STEPS: list[Step] = ["darken", "blur", "crop"]  # of CLIPSeg's paper


class FromTraining(Settings):
    """Support images that are taken from the training split, the same ones for all images of a run."""

    model_config = ConfigDict(serialize_by_alias=True)  # as params.yaml has it

    source: Annotated[Literal["train"], Field(alias="from")]
    shots: Annotated[int, Field(ge=1, le=16)] = 1  # support images of each class, k


class Config(Settings):
    """Keys of support images in a prompt of params.yaml."""

    # true: the record's own support image, as one-shot datasets have them; or {from: train, shots: k}
    support: bool | FromTraining = False
    visual_prompt: list[Step] = STEPS  # processing of the support image
    image_weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.75  # beside text; CLIPSeg was trained with 0.5 to 1

    @field_validator("visual_prompt")
    @classmethod
    def _no_step_twice(cls, steps):
        if len(set(steps)) < len(steps):
            raise ValueError("a step is named twice")
        return steps


@dataclass(frozen=True, eq=False)
class SupportImage:
    """An image that shows an object, and the object's mask.

    Attributes:
        image: (h, w, 3) uint8.
        mask: (h, w) bool, not empty.
    """

    image: np.ndarray
    mask: np.ndarray

    @cached_property
    def digest(self) -> bytes:
        """Digest of image and mask, for caches."""
        digest = hashlib.sha256(repr(self.image.shape).encode())
        for array in (self.image, self.mask):
            digest.update(array.tobytes())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class Support(PromptPart):
    """One or more support images of a class.

    Attributes:
        images: at least one.
        visual_prompt: processing before they are embedded (`nn.visual_prompt`).
        weight: of their embedding beside that of a text, in (0, 1); 1 without text.
    """

    KIND: ClassVar[str] = "support"
    Config: ClassVar[type[Settings]] = Config
    COMBINES: ClassVar[frozenset[str]] = frozenset({"text"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--support", "another image that shows what to segment; alone or with one --text", Path),
        Option("--support-mask", "mask of the object in it, not black, as PNG or TIFF", Path),
    )

    images: tuple[SupportImage, ...]
    visual_prompt: tuple[Step, ...]
    weight: float

    @classmethod
    def from_source(cls, config: Any, source: PromptSource, target: int) -> Self | None:
        """Take the support images that show the class; None where there is none."""
        images = tuple(source.support.get(target, ()))
        weight = config.image_weight if config.text is not None else 1.0
        return cls(images, tuple(config.visual_prompt), weight) if images else None

    @classmethod
    def describe(cls, config: Any) -> str:
        weight = f"{config.image_weight:g} " if config.text is not None else ""
        images = "support image"
        if isinstance(config.support, FromTraining):
            shots = config.support.shots
            weight += "of " * bool(weight)
            images = f"{shots} support image{'s' * (shots > 1)} of the training split"
        # Only what differs is named: the default is CLIPSeg's own, and SegGPT takes the images as they are.
        steps = f" ({', '.join(config.visual_prompt) or 'plain'})" if config.visual_prompt != STEPS else ""
        return f"{weight}{images}{steps}"

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        from promptseg.data import image_io

        path, mask_path = values["--support"], values["--support-mask"]
        if path is None or mask_path is None:
            raise UserError(
                "--support IMAGE and --support-mask MASK go together: the mask marks the object in the image"
            )
        image, mask = image_io.to_rgb(image_io.read_image(path, window)), image_io.read_gray(mask_path)
        mask = np.any(mask.reshape(*mask.shape[:2], -1), axis=2)
        image_io.check_same_size(image.shape, mask.shape, path, mask_path)
        if not mask.any():
            raise UserError(f"{mask_path}: it is black; the object in {path} should be white in it")
        config = Config()
        return [[cls((SupportImage(image, mask),), tuple(config.visual_prompt), config.image_weight)]]

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        layer.caption(f"{len(self.images)} support images" if len(self.images) > 1 else "support image")

    def to_json(self) -> dict[str, Any]:
        return {"support": self.weight} | ({"shots": len(self.images)} if len(self.images) > 1 else {})

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        """Support images without pixels, which are in the split: enough to say how many there were."""
        if "support" not in entry:
            return None
        empty = SupportImage(np.empty((0, 0, 3), np.uint8), np.empty((0, 0), bool))
        return cls((empty,) * entry.get("shots", 1), (), entry["support"])
