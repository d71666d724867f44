"""A question that a person asks of pictures on the command line: words, boxes, points, an example, for all, or none."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.data import image_io
from promptseg.prompts import Prompt, SupportExample

_OPTIONS = {  # how each kind of prompt is given
    "text": "--text WORDS",
    "box": "--box X0,Y0,X1,Y1",
    "points": "--point X,Y",
    "automatic": "--auto",
    "image": "--support PICTURE --support-mask MASK",
}


@dataclass(frozen=True)
class Question:
    """What to ask about each picture, in its own pixels, counted from its upper left corner.

    texts: a phrase for each class; boxes: (x0, y0, x1, y1), each round one object; on, off: points (x, y) of one
    object, and points that are none of it; auto: which of the masks that the model finds by itself; example: an object
    in another picture. One kind of them, or none; an example also with one text. Raises UserError where they do not go
    together.
    """

    texts: tuple[str, ...] = ()
    boxes: tuple[tuple[float, ...], ...] = ()
    on: tuple[tuple[float, ...], ...] = ()
    off: tuple[tuple[float, ...], ...] = ()
    auto: params.Automatic | None = None
    example: SupportExample | None = None

    def __post_init__(self):
        if sum(map(bool, (self.texts or self.example, self.boxes, self.on or self.off, self.auto))) > 1:
            raise UserError("give one of --text, --box, --point and --auto (--support goes alone or with --text)")
        if self.example and len(self.texts) > 1:
            raise UserError("--support shows one thing; give one --text with it")
        if self.off and not self.on:
            raise UserError("--no-point says where the object is not; give a --point that is on it as well")
        if any(not text.strip() for text in self.texts):
            raise UserError("--text: an empty phrase; say what to look for")
        for x0, y0, x1, y1 in self.boxes:
            if x0 >= x1 or y0 >= y1:
                raise UserError(
                    f"--box {_plain((x0, y0, x1, y1))}: it is empty; give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1"
                )

    @property
    def kind(self) -> str:
        if self.example:
            return "text + image" if self.texts else "image"
        if self.auto:
            return "automatic"
        return "text" if self.texts else "box" if self.boxes else "points" if self.on else "none"

    def check(self, model: str, taken: frozenset[str]) -> None:
        """Raise UserError unless this kind is among those that a model takes."""
        if self.kind in taken:
            return
        option = "--support" if self.example else _OPTIONS.get(self.kind, "").split(" ")[0]
        what = f"takes no {option}" if option else "cannot do without a prompt"
        known = [_OPTIONS[kind] for kind in _OPTIONS if kind in taken] + ["no prompt at all"] * ("none" in taken)
        raise UserError(f"{model} {what}; give {' or '.join(known) or 'another --model'}")

    def prompts(self, classes: int, height: int, width: int, name: str) -> list[Prompt]:
        """The prompts about a picture of this size. Raises UserError, naming it, where one lies outside."""
        if self.kind == "text":
            return [Prompt(target, text=text) for target, text in enumerate(self.texts, 1)]
        if self.example:
            text = self.texts[0] if self.texts else None
            return [Prompt(1, text=text, example=self.example, mix=params.Prompt().mix if text else None)]
        if self.kind == "none":
            return [Prompt(target) for target in range(1, classes + 1)]
        for box in self.boxes:
            if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
                raise UserError(f"{name}: --box {_plain(box)} reaches out of the picture, which is {width}x{height}")
        for x, y in self.on + self.off:
            if not (0 <= x < width and 0 <= y < height):
                raise UserError(f"{name}: the point {_plain((x, y))} lies outside the picture, which is {width}x{height}")
        if self.kind == "box":
            return [Prompt(1, box=np.array(box)) for box in self.boxes]
        labels = np.array([1] * len(self.on) + [0] * len(self.off))
        return [Prompt(1, points=np.array(self.on + self.off), labels=labels)]


def example(picture: Path | None, mask: Path | None, levels: tuple[float, float] | None) -> SupportExample | None:
    """The object that another picture shows, where its mask is not black; None where neither is given.

    levels: as `window` gives them. Raises UserError where one is missing, they are of two sizes, or the mask is empty.
    """
    if picture is None and mask is None:
        return None
    if picture is None or mask is None:
        raise UserError("--support PICTURE and --support-mask MASK go together: the mask says what to look for in it")
    image, shown = image_io.rgb(image_io.read_image(picture, levels)), image_io.read_gray(mask)
    shown = shown.reshape(*shown.shape[:2], -1).any(axis=2)
    image_io.check_pair(image, shown, mask)
    if not shown.any():
        raise UserError(f"{mask}: it is black; the object in {picture} should be white in it")
    return SupportExample(image, shown, tuple(params.Prompt().prepare))


def numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    """`10,20.5` -> (10.0, 20.5). Raises UserError, naming the option, unless these are so many finite numbers."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        raise UserError(f"{option} {text!r}: {count} numbers with commas between them are expected")
    return values


def window(text: str) -> tuple[float, float]:
    """`0,4095` -> the values that become black and white. Raises UserError unless the first is below the second."""
    low, high = numbers(text, 2, "--window")
    if low >= high:
        raise UserError(
            f"--window {text!r}: LOW,HIGH are expected, the value that is black and a larger one that is white"
        )
    return low, high


def names(text: str) -> list[str]:
    """`road, car` -> the names of classes. Raises UserError where one is empty or comes twice."""
    found = [name.strip() for name in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise UserError(f"--classes {text!r}: names with commas between them are expected, each once and none empty")
    return found


def _plain(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
