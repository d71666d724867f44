"""How a model is asked, as params.yaml says it."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from promptseg.core.settings import Fraction, Settings


class Automatic(Settings):
    """Which of its own masks a model gives, as segment_anything's SamAutomaticMaskGenerator has it."""

    points: PositiveInt = 32  # a side, of the grid that is asked
    iou: Annotated[float, Field(ge=0.0)] = 0.88  # masks of a larger predicted IoU pass; 0: all
    stability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.95  # masks of at least this pass
    nms: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7  # of two whose boxes overlap more, the surer one stays
    crop_layers: Annotated[int, Field(ge=0, le=4)] = 0  # the picture again in 4 crops, in 16 and so on
    crop_nms: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7  # the same between crops, where the smaller crop's stays
    crop_overlap: Fraction = 512 / 1500  # share of the picture's shorter side
    crop_fewer_points: PositiveInt = 1  # each layer's grid has this many times fewer points a side
    min_area: NonNegativeInt = 0  # smaller holes are filled and smaller islands removed

    @pydantic.model_validator(mode="after")
    def _points_left(self):
        if self.points < self.crop_fewer_points**self.crop_layers:
            raise ValueError("crop_fewer_points leaves no point for the smallest crops")
        return self


class Refine(Settings):
    """How a cascade turns the coarse map that a phrase leads to into prompts for the network that draws the edge.

    The default of `by` is the best of a measurement with SAM 2 Hiera-tiny on 20 real pictures (6 of fires, 8 of pets,
    6 of COCO). As real CLIPSeg was not at hand, the coarse maps were made from the truth: 22 x 22, blurred and noisy
    (tests/benchmarks/bench_cascade.py makes such). Mean IoU: the maps 0.792, points 0.784, box 0.815, mask 0.824,
    box + mask 0.828, box + points 0.833; the last three differ by less than chance. Points alone, and a box alone, now
    and then lead to something else in the picture.
    """

    by: Literal["box", "points", "mask", "box + points", "box + mask"] = "box + points"  # what it is asked with
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5  # probability from which on a pixel is in a component
    min_share: Fraction = 0.001  # of the picture; smaller components are left out
    most: PositiveInt = 16  # components, the largest
    points: PositiveInt = 3  # peaks in a component, and as many lows beside it


class Prompt(Settings):
    """How a model is asked: by points, boxes, masks, words, another picture, both, for all that it finds, or not."""

    points: PositiveInt | None = None  # so many points on the true mask
    how: Literal["random", "center"] = "random"  # anywhere in the mask, or its interior_points pixels
    box: bool = False  # the box round the true mask
    jitter: Fraction = 0.0  # each side of the box moves outward by up to this share of the picture's longer side
    mask: bool = False  # the true mask itself, as rough as the model takes it
    per: Literal["picture", "object"] = "picture"  # one question for the whole mask, or one for each of its components
    text: list[str] | Literal["class", "own"] | None = None  # a phrase for each class; their names; the picture's own
    support: bool = False  # the row's support picture and its mask, as one-shot data have them
    prepare: list[Literal["darken", "blur", "crop"]] = ["darken", "blur", "crop"]  # done to the support picture
    mix: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.75  # the picture's share beside words; CLIPSeg learned 0.5 to 1
    automatic: bool | Automatic = False  # all masks that it finds by itself; true: as they were released
    refine: Refine | None = None  # how a cascade asks its second network; None: as Refine has it

    @pydantic.model_validator(mode="after")
    def _one_kind(self):
        given = (self.points is not None, self.box, self.mask, self.text is not None, self.automatic is not False)
        if sum(given) > 1:
            raise ValueError("give one of points, box, mask, text and automatic")
        if self.support and (self.oracle or self.automatic is not False):
            raise ValueError("support goes alone or with text")
        if "prepare" in self.model_fields_set and not self.support:
            raise ValueError("prepare belongs to support")
        if "mix" in self.model_fields_set and self.kind != "text + image":
            raise ValueError("mix belongs to support with text")
        if len(set(self.prepare)) < len(self.prepare):
            raise ValueError("prepare names something twice")
        if self.refine is not None and self.kind not in ("text", "image", "text + image"):
            raise ValueError("refine belongs to text and support")
        if self.jitter and not self.box:
            raise ValueError("jitter belongs to box")
        if not self.oracle and (self.per, self.how) != ("picture", "random"):
            raise ValueError("how and per belong to points, box and mask")
        if isinstance(self.text, list) and (not self.text or any(not phrase.strip() for phrase in self.text)):
            raise ValueError("text needs a phrase for each class, none of them empty")
        return self

    @property
    def kind(self) -> Literal["points", "box", "mask", "automatic", "text", "image", "text + image", "none"]:
        if self.points is not None:
            return "points"
        if self.automatic is not False:
            return "automatic"
        if self.box or self.mask:
            return "box" if self.box else "mask"
        return " + ".join(["text"] * (self.text is not None) + ["image"] * self.support) or "none"

    @property
    def generator(self) -> Automatic:
        """Which automatic masks are kept."""
        return self.automatic if isinstance(self.automatic, Automatic) else Automatic()

    @property
    def oracle(self) -> bool:
        """True where the prompt is taken from the true mask, so that its score is no score of a system in use."""
        return self.kind in ("points", "box", "mask")

    @property
    def source(self) -> str:
        """Where the prompt comes from, a column of the tables: none | text | image | text + image | truth (oracle) |
        truth with jitter (oracle) | none, matched with the truth (oracle), where it takes the truth to name masks."""
        if self.kind == "automatic":
            return "none, matched with the truth (oracle)"
        return f"truth{' with jitter' * bool(self.jitter)} (oracle)" if self.oracle else self.kind

    def describe(self) -> str:
        """A few words for tables: `1 random point`, `box per object, jitter 0.02`, `"black spots"`, `class names`,
        `"fire", refined by box from 0.4`, `support picture (darken, blur, crop)`, `its own phrase + 0.75 support
        picture (plain)`, `automatic masks`."""
        if self.kind == "automatic":
            return "automatic masks"
        if self.kind == "none":
            return "none"
        if not self.oracle:
            return " + ".join(self._words() + self._shown()) + self._refined()
        if self.kind == "points":
            how = "random" if self.how == "random" else "central"
            words = f"{self.points} {how} point{'s' if self.points > 1 else ''}"
        else:
            words = self.kind
        words += " per object" if self.per == "object" else ""
        return words + (f", jitter {self.jitter:g}" if self.jitter else "")

    def _words(self) -> list[str]:
        if isinstance(self.text, str):
            return ["class names" if self.text == "class" else "its own phrase"]
        return [", ".join(f'"{phrase}"' for phrase in self.text)] if self.text is not None else []

    def _refined(self) -> str:
        return f", refined by {self.refine.by} from {self.refine.threshold:g}" if self.refine is not None else ""

    def _shown(self) -> list[str]:
        share = f"{self.mix:g} " if self.text is not None else ""
        return [f"{share}support picture ({', '.join(self.prepare) or 'plain'})"] if self.support else []
