"""Another image that shows what to segment, with its mask: one-shot segmentation."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator

from promptseg.core.errors import UserError
from promptseg.core.settings import Settings
from promptseg.prompts.base import Option, PromptPart, PromptSource

Step = Literal["darken", "blur", "crop"]


class Config(Settings):
    """Keys of a support image in a prompt of params.yaml."""

    support: bool = False  # the record's support image and its mask, as one-shot datasets have them
    visual_prompt: list[Step] = ["darken", "blur", "crop"]  # processing of the support image
    image_weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.75  # beside text; CLIPSeg was trained with 0.5 to 1

    @field_validator("visual_prompt")
    @classmethod
    def _no_step_twice(cls, steps):
        if len(set(steps)) < len(steps):
            raise ValueError("a step is named twice")
        return steps


@dataclass(frozen=True, eq=False)
class Support(PromptPart):
    """A support image.

    Attributes:
        image: (h, w, 3) uint8.
        mask: (h, w) bool, not empty.
        visual_prompt: processing before it is embedded (`nn.visual_prompt`).
        weight: of the image's embedding beside that of a text, in (0, 1); 1 without text.
    """

    KIND: ClassVar[str] = "support"
    Config: ClassVar[type[Settings]] = Config
    COMBINES: ClassVar[frozenset[str]] = frozenset({"text"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--support", "another image that shows what to segment; alone or with one --text", Path),
        Option("--support-mask", "mask of the object in it, not black, as PNG or TIFF", Path),
    )

    image: np.ndarray
    mask: np.ndarray
    visual_prompt: tuple[Step, ...]
    weight: float

    @cached_property
    def digest(self) -> bytes:
        """Digest of image, mask and processing, for caches."""
        digest = hashlib.sha256(repr((self.image.shape, self.visual_prompt)).encode())
        for array in (self.image, self.mask):
            digest.update(array.tobytes())
        return digest.digest()

    @classmethod
    def from_source(cls, config: Any, source: PromptSource, target: int) -> Self | None:
        """Take the class as the support image shows it; None where it does not."""
        assert source.support is not None  # as the settings want it
        image, mask = source.support
        of_class = mask == target
        if not of_class.any():
            return None
        weight = config.image_weight if config.text is not None else 1.0
        return cls(image, of_class, tuple(config.visual_prompt), weight)

    @classmethod
    def describe(cls, config: Any) -> str:
        weight = f"{config.image_weight:g} " if config.text is not None else ""
        return f"{weight}support image ({', '.join(config.visual_prompt) or 'plain'})"

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
        return [[cls(image, mask, tuple(config.visual_prompt), config.image_weight)]]

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        layer.caption("support image")

    def to_json(self) -> dict[str, Any]:
        return {"support": self.weight}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        """A support image without pixels, which are in the record: enough to say that there was one."""
        if "support" not in entry:
            return None
        return cls(np.empty((0, 0, 3), np.uint8), np.empty((0, 0), bool), (), entry["support"])
