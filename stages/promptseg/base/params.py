"""params.yaml as typed settings; a wrong key or value is one clear line."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from promptseg.base.errors import Problem

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(pydantic.BaseModel):
    """A section of params.yaml: unknown keys and wrong types are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Scale(Settings):
    """How much of the study to run."""

    data: Literal["sample", "official"] = "official"
    checkpoints: Literal["tiny", "official"] = "official"
    max_epochs: PositiveInt | None = None  # None: as each run says
    max_images: PositiveInt | None = None  # None: all; else so many a split, picked evenly


class Dataset(Settings):
    """Where a dataset comes from and how its pictures are cut, filtered and split."""

    reader: str  # the file in datasets/ that reads it; several entries may share one
    parts: str = "common"  # the folder in parts/ with what that file needs beside it
    source: str | None = None  # sample | official | a folder or archive in that layout; None: as scale.data says
    options: dict[str, Any] = {}  # what this reader alone understands
    classes: list[str] | dict[str, list[str]] | None = None  # of the reader's, which count; merged under new names
    resize: Annotated[int, Field(ge=16)] | None = None  # longer side in pixels, before tiling; None: as it is
    tile: Annotated[int, Field(ge=16)] | None = None  # side in pixels; None: pictures stay whole
    overlap: NonNegativeInt = 0  # pixels shared by neighbouring tiles
    edge: Literal["shift", "cut", "drop"] = "shift"  # where no whole tile fits: move the last one back, cut it, drop it
    min_foreground: Fraction | None = 0.0  # keep what has a larger share of foreground; None: keep everything
    min_pixels: NonNegativeInt = 0  # keep what has at least so many pixels of foreground
    skip_bad: bool = False  # leave out, and count, pictures that cannot be read; otherwise they end the stage
    val_fraction: Fraction = 0.1  # of the training groups, where the source has no validation split of its own
    test_fraction: Fraction = 0.5  # of all groups, where the source has no test split of its own

    @pydantic.model_validator(mode="after")
    def _hangs_together(self):
        for key in ("reader", "parts"):  # they go into paths
            if not re.fullmatch(r"[a-z][a-z0-9_]*", getattr(self, key)):
                raise ValueError(f"{key}: {getattr(self, key)!r} is no module's name")
        if self.tile is not None and self.overlap >= self.tile:
            raise ValueError(f"overlap ({self.overlap}) must be smaller than tile ({self.tile})")
        if self.classes is not None and not self.classes:
            raise ValueError("classes names none; leave it out to take all")
        return self


class Model(Settings):
    """Where the released weights of a model come from.

    A model of several networks has an entry for each in `networks`. Its own source counts for those that have none,
    and is, where it is a folder, the one that holds a folder for each.
    """

    source: str | None = None  # tiny | official | a local file or folder; None: as scale.checkpoints says
    official: str | None = None  # name on the Hugging Face hub; None: the model has no released weights
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None  # the commit there
    networks: dict[str, "Model"] = {}  # by the models that they are
    precision: Literal["fp32", "bf16", "auto"] = "fp32"  # of the frozen encoder; auto: as measured where it is fetched

    @pydantic.model_validator(mode="after")
    def _pinned(self):
        if (self.official is None) != (self.revision is None):
            raise ValueError(
                "official and revision go together: a name on the hub and the commit (40 hex digits) there"
            )
        if self.networks and self.official is not None:
            raise ValueError("official and revision belong to each of its networks")
        if any(network.precision != "fp32" for network in self.networks.values()):
            raise ValueError("networks within a model compute in fp32")
        return self


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
    how: Literal["random", "centre"] = "random"  # anywhere in the mask, or its deepest pixels
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


class Augment(Settings):
    """How training pictures are changed anew in every epoch, and with them their masks and the prompts from these."""

    flip: list[Literal["horizontal", "vertical"]] = ["horizontal"]  # each for every other picture
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 15.0  # degrees, up to so many either way
    scale: Fraction = 0.1  # a side grows or shrinks by up to this share of it
    brightness: Fraction = 0.1  # so do the values


class Lora(Settings):
    """Low-rank adapters (Hu et al. 2022) beside the attention of a frozen encoder; the part `lora`."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0  # what is added is scaled by alpha / rank


class Train(Settings):
    """How a run is trained."""

    prompt: Prompt = Prompt()
    epochs: PositiveInt
    pretrain: NonNegativeInt = 0  # epochs of a task of the model's own before, such as giving the picture back
    parts: list[str]  # which of the model's parts learn
    lora: Lora = Lora()
    loss: Literal["dice", "bce", "dice_bce", "focal", "dice_focal"] = "dice"
    batch: PositiveInt = 8  # pictures that go through together
    accumulate: PositiveInt = 1  # so many batches make a step
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine"] = "constant"  # cosine: lr falls to 0 along half a wave
    warmup: Fraction = 0.0  # the share of all steps in which lr rises to its full size
    clip: PositiveFloat | None = None  # the gradient's norm is cut to this
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # decay of an average of the weights, kept in place
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast; weights and losses stay fp32
    patience: PositiveInt | None = None  # stop after so many epochs without a better IoU on the validation split
    augment: Augment | None = None

    @pydantic.model_validator(mode="after")
    def _can_be_learned(self):
        if self.prompt.kind == "automatic":
            raise ValueError("prompt: nothing is learned from automatic masks; train with points or box")
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("parts names something twice")
        if "lora" in self.model_fields_set and "lora" not in self.parts:
            raise ValueError("lora belongs to parts: [lora]")
        return self


class Run(Settings):
    """One row of the results table."""

    dataset: str
    model: str
    prompt: Prompt  # required even where it is {}: DVC tracks the key by name
    published: Fraction | None = None  # the IoU that the study reports for this run, shown beside ours


class FineTune(Run):
    train: Train


class Params(Settings):
    """All of params.yaml."""

    seed: NonNegativeInt = 0
    scale: Scale = Scale()
    datasets: dict[str, Dataset]
    models: dict[str, Model]
    zero_shot: dict[str, Run] = {}
    finetune: dict[str, FineTune] = {}

    @pydantic.model_validator(mode="after")
    def _names_hold_together(self):
        for section in ("datasets", "models", "zero_shot", "finetune"):
            for name in getattr(self, section):
                if not NAME.fullmatch(name):
                    raise ValueError(f"{section}: {name!r} is no valid name: use a-z, 0-9, _ and -, at most 41 of them")
        for section in ("zero_shot", "finetune"):
            for name, run in getattr(self, section).items():
                for noun in ("dataset", "model"):
                    known, given = getattr(self, noun + "s"), getattr(run, noun)
                    if given not in known:
                        raise ValueError(
                            f"{section}.{name}.{noun}: unknown {noun} {given!r}; known: {', '.join(known)}"
                        )
        twice = sorted(self.zero_shot.keys() & self.finetune.keys())
        if twice:
            raise ValueError(f"{twice[0]} stands in zero_shot and in finetune: a run has one name")
        return self

    def run(self, name: str) -> Run | FineTune:
        """The run of that name. Raises Problem if there is none."""
        runs = {**self.zero_shot, **self.finetune}
        return self._one("run", runs, name)

    def dataset(self, name: str) -> Dataset:
        return self._one("dataset", self.datasets, name)

    def model(self, name: str) -> Model:
        return self._one("model", self.models, name)

    @staticmethod
    def _one(noun: str, known: dict, name: str):
        if name not in known:
            raise Problem(f"params.yaml: unknown {noun} {name!r}; known: {', '.join(known)}")
        return known[name]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml of the current folder. Raises Problem with one line that names the key."""
    try:
        raw = yaml.safe_load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path}: not found; run this in the project's folder") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that there is not
        raise Problem(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise Problem(f"{path}: it should be a mapping of sections")
    return parse(raw, str(path))


def parse(raw: dict, where: str = "params.yaml") -> Params:
    """Settings from a mapping. Raises Problem naming the first wrong key; how many more there are is said."""
    return validate(Params, raw, where)


def validate(kind: type[Settings], raw: dict, where: str, at: str = "") -> Settings:
    """A section of its kind from a mapping. where: the file; at: the key that the mapping stands at. Raises Problem."""
    try:
        return kind.model_validate(raw)
    except pydantic.ValidationError as error:
        errors = error.errors()
        # Where several types are allowed, pydantic puts the type it tried into the way to the key.
        way = [str(part) for part in errors[0]["loc"] if not re.match(r"(list|dict|literal)\[", str(part))]
        key = ".".join([at] * bool(at) + way)
        reason = errors[0]["msg"].removeprefix("Value error, ")
        if errors[0]["type"] == "extra_forbidden" and len(errors[0]["loc"]) == 1:
            reason += f" (known: {', '.join(kind.model_fields)})"
        given = "" if isinstance(errors[0]["input"], dict) else f", got {errors[0]['input']!r}"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise Problem(f"{where}: {key + ': ' if key else ''}{reason}{given}{more}") from None
