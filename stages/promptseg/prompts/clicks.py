"""Clicks that correct the prediction, each where it is most wrong: interactive segmentation by the ground truth.

The rule is that of RITM (Sofiiuk et al. 2022) and of SAM (Kirillov et al. 2023, appendix D.1): the first click is on
the most interior pixel of the object, each further one on the most interior pixel of the prediction's errors, positive
where the object is missed and negative beside it. The largest error is so the one that the largest circle fits into.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import PositiveInt

from promptseg.core.settings import Settings
from promptseg.prompts.base import Per, PromptPart
from promptseg.prompts.box import Box
from promptseg.prompts.points import Points

if TYPE_CHECKING:
    from promptseg.data.masks import Region
    from promptseg.prompts import Prompt


class Config(Settings):
    """Keys of clicks in a prompt of params.yaml."""

    clicks: PositiveInt | None = None  # so many, each after the prediction for those before it
    start: Literal["point", "box"] = "point"  # of what precedes the corrections: the first click, or a box before it
    per: Per = "image"


class Clicks(PromptPart):
    """Clicks one after the other; what a model receives are points, and a box where they start with one."""

    KIND: ClassVar[str] = "clicks"
    Config: ClassVar[type[Settings]] = Config
    ORACLE: ClassVar[bool] = True

    @classmethod
    def from_mask(cls, config: Any, region: "Region", rng: np.random.Generator) -> PromptPart:
        """Take what the first prediction is prompted by: the first click, or the box."""
        if config.start == "box":
            return Box.around(region)
        target = region.full()
        click = next_click(target, np.zeros_like(target), np.ones_like(target), np.empty((0, 2)))
        assert click is not None  # as the region has pixels
        return click

    @classmethod
    def describe(cls, config: Any) -> str:
        return f"{'box + ' * (config.start == 'box')}{config.clicks} correcting click{'s' * (config.clicks > 1)}"


def next_click(target: np.ndarray, prediction: np.ndarray, valid: np.ndarray, clicked: np.ndarray) -> Points | None:
    """Choose where the prediction is most wrong.

    Args:
        target: (h, w) bool, the object.
        prediction: (h, w) bool.
        valid: (h, w) bool, pixels that count.
        clicked: (k, 2) x, y of the clicks so far; none of their pixels is clicked again.

    Returns:
        One point, the first in scan order of equally interior ones, negative where both kinds are; None where no pixel
        is wrong that was not clicked.
    """
    from promptseg.data import masks

    wrong = (target ^ prediction) & valid
    # Squared, distances are whole numbers, so that equal ones are equal.
    depths = [np.rint(masks.depth(wrong & kind) ** 2) for kind in (~target, target)]
    columns, rows = clicked.astype(int).T
    for each in depths:
        each[rows, columns] = 0
    label = int(depths[1].max() > depths[0].max())
    row, column = np.unravel_index(depths[label].argmax(), wrong.shape)
    if depths[label][row, column] == 0:
        return None
    return Points(np.array([[column + 0.5, row + 0.5]]), np.array([label]))


def add_click(prompt: "Prompt", click: Points) -> "Prompt":
    """Add a point to those of a prompt."""
    points = prompt.get("points")
    joined = click if points is None else Points.join([points, click])
    return replace(prompt, parts=prompt.parts | {Points.KIND: joined})
