"""Entries of params.yaml that are runs: zero-shot, cascade and fine-tuned."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, PositiveInt

from promptseg.core.params import ParamsFile
from promptseg.core.settings import Fraction, Settings
from promptseg.core.train_config import Train
from promptseg.prompts import PromptConfig


class Run(Settings):
    """One row of the results."""

    dataset: str
    model: str
    prompt: PromptConfig  # required even where it is {}: DVC tracks the key by name
    reported_iou: Fraction | None = None  # IoU that the study reports for this run


class FineTune(Run):
    """A run whose model is fine-tuned first."""

    train: Train
    baseline: str | None = None  # run on the same dataset that it is compared with; None: its own zero-shot run
    reported_dice_loss: Fraction | None = None  # Dice loss on the training images that the study reports

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.prompt.seeds:
            raise ValueError("prompt: seeds belongs to train, which is repeated")
        return self


class CascadePrompt(Settings):
    """Prompts for SAM from the probability map of another run, one for each connected component.

    Of a detector each box is a prompt, with `by: box`, in place of the components of its map; `threshold` is then of
    the box's probability (nn.detector), `min_area` of its area, and `max_components` of the boxes.

    The default of `by` is the best of a measurement with SAM 2 Hiera-tiny on 20 real images (6 of fires, 8 of pets, 6
    of COCO). As real CLIPSeg was not available, the maps were made from the ground truth: 22 x 22, blurred and noisy
    (tests/benchmarks/bench_cascade.py). Mean IoU: the maps 0.792, points 0.784, box 0.815, mask 0.824, box + mask
    0.828, box + points 0.833; the last three differ by less than chance.
    """

    by: Literal["box", "points", "mask", "box + points", "box + mask"] = "box + points"
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5  # probability from which on a pixel is foreground
    min_area: Fraction = 0.001  # of the image; smaller components are left out
    max_components: PositiveInt = 16  # the largest
    points: PositiveInt = 3  # positive points in a component, and as many negative ones beside it

    def describe(self) -> str:
        """The prompts in words, for tables."""
        return f"{self.by} of each component from {self.threshold:g}"


class Cascade(Settings):
    """A run whose prompts are the predictions of another run.

    `dataset` is that of the other run; DVC needs it by name.
    """

    dataset: str
    model: str
    source: Annotated[str, Field(alias="from")]
    prompt: CascadePrompt = CascadePrompt()
    reported_iou: Fraction | None = None


def load_run(file: ParamsFile, name: str, section: Literal["zero_shot", "finetune"]) -> Run:
    """Read the entry of a run. Raises UserError if it is missing or wrong."""
    return file.entry(section, name, FineTune if section == "finetune" else Run)
