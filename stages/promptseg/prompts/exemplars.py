"""Boxes around exemplars in the image itself: one prompt shows some instances and asks for all that are alike."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from promptseg.core.errors import UserError
from promptseg.core.settings import Seeds, Settings
from promptseg.prompts.base import Option, PromptPart, PromptSource, Readout
from promptseg.prompts.box import Box
from promptseg.prompts.command_line import numbers


class Config(Settings):
    """Keys of exemplars in a prompt of params.yaml."""

    exemplars: PositiveInt | None = None  # boxes around so many instances of the class, or all where it has fewer
    negatives: NonNegativeInt = 0  # boxes around so many instances of other classes, as what is not meant
    readout: Readout | None = None  # of the model's predictions; None: its default
    seeds: Seeds | None = None  # of the choice of instances, in place of the study's seed


@dataclass(frozen=True, eq=False)
class Exemplars(PromptPart):
    """Exemplar boxes of one prompt.

    Attributes:
        corners: (k, 4) float x0, y0, x1, y1 in pixels, the edges of the boxes, so that x1 - x0 is the width: what
            annotation files hold, and what SAM 3 was trained with.
        labels: (k,) int, 1 what to segment, 0 what not.
    """

    KIND: ClassVar[str] = "exemplars"
    Config: ClassVar[type[Settings]] = Config
    ORACLE: ClassVar[bool] = True
    OF_CLASS: ClassVar[bool] = True
    COMBINES: ClassVar[frozenset[str]] = frozenset({"text"})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("--exemplar", "X0,Y0,X1,Y1 in pixels around one of the objects to segment, which asks for all alike"),
        Option("--no-exemplar", "X0,Y0,X1,Y1 in pixels around an object that is not meant"),
    )

    corners: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, positive: Iterable, negative: Iterable) -> Self:
        """Join positive and negative boxes, rows of four numbers; one of the lists may be empty."""
        given = [(corners, label) for label, boxes in ((1, positive), (0, negative)) for corners in boxes]
        return cls(np.array([corners for corners, _ in given], float), np.array([label for _, label in given]))

    @classmethod
    def from_source(cls, config: Any, source: PromptSource, target: int) -> Self | None:
        """Take the boxes of randomly chosen instances of the ground truth, in scan order; None without the class."""
        rng = source.generator()
        positive = _boxes(source, [target], config.exemplars, rng)
        others = [other for other in range(1, len(source.classes) + 1) if other != target]
        return cls.of(positive, _boxes(source, others, config.negatives, rng)) if positive else None

    @classmethod
    def check(cls, config: Any, classes: list[str], where: str) -> None:
        """Raise UserError where negative exemplars are wanted and there is no other class."""
        if config.negatives and len(classes) < 2:
            raise UserError(f"params.yaml: {where}: negatives are instances of other classes, and there is one class")

    @classmethod
    def describe(cls, config: Any) -> str:
        words = f"{config.exemplars} exemplar{'s' * (config.exemplars > 1)}"
        return words + (f" and {config.negatives} of other classes" if config.negatives else "")

    @classmethod
    def parse(cls, values: dict[str, Any], window: tuple[float, float] | None) -> list[list[Self]]:
        given = {flag: [numbers(text, 4, flag) for text in values[flag]] for flag in ("--exemplar", "--no-exemplar")}
        for flag, boxes in given.items():
            for corners in boxes:
                Box(np.array(corners)).check_filled(flag)
        return [[cls.of(*given.values())]]

    def check_inside(self, height: int, width: int, name: str) -> None:
        for corners in self.corners:
            Box(corners).check_inside(height, width, name)

    def check_alone(self) -> None:
        if not self.labels.any():
            raise UserError("negative exemplars say what is not meant; give an exemplar or a text as well")

    def to_model(self, transform, height: int, width: int) -> Self:
        return replace(self, corners=self.corners * np.tile(transform.scale(height, width), 2))

    def translate(self, x: float, y: float) -> Self:
        return replace(self, corners=self.corners + [x, y, x, y])

    def draw(self, layer, color: tuple[int, int, int]) -> None:
        for corners, label in zip(self.corners, self.labels):
            layer.box(corners, color)
            if not label:
                layer.point(corners.reshape(2, 2).mean(axis=0), False, color)

    @property
    def effort(self) -> int:
        return len(self.corners)

    def to_json(self) -> dict[str, Any]:
        return {"exemplars": np.round(self.corners, 2).tolist(), "exemplar_labels": self.labels.tolist()}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self | None:
        if "exemplars" not in entry:
            return None
        return cls(np.array(entry["exemplars"], float), np.array(entry["exemplar_labels"], np.int64))


def _boxes(source: PromptSource, classes: list[int], count: int, rng: np.random.Generator) -> list:
    """Boxes around `count` random instances of these classes, or around all where there are fewer."""
    from promptseg.data import masks

    if not count:
        return []
    found = [region for each in classes for region in masks.regions(source.mask == each, True, source.instances)]
    return [masks.region_box(found[index]) for index in sorted(rng.permutation(len(found))[:count])]
