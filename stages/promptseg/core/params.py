"""params.yaml as typed settings. How a model is asked, and how it is trained, stand in prompting.py and teaching.py."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import Field, NonNegativeInt, PositiveInt

from promptseg.core.errors import UserError
from promptseg.core.prompt_config import Automatic as Automatic
from promptseg.core.prompt_config import Prompt
from promptseg.core.prompt_config import Refine as Refine
from promptseg.core.settings import Fraction, Settings, validate
from promptseg.core.train_config import Augment as Augment
from promptseg.core.train_config import Lora as Lora
from promptseg.core.train_config import Train

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


class Scale(Settings):
    """How much of the study to run."""

    data: Literal["sample", "official"] = "official"
    checkpoints: Literal["tiny", "official"] = "official"
    max_epochs: PositiveInt | None = None  # None: as each run says
    max_images: PositiveInt | None = None  # None: all; else so many a split, picked evenly


class Dataset(Settings):
    """Where a dataset comes from and how its pictures are cut, filtered and split."""

    reader: str  # the file in datasets/ that reads it; several entries may share one
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
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.reader):  # it goes into a path
            raise ValueError(f"reader: {self.reader!r} is no module's name")
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
        """The run of that name. Raises UserError if there is none."""
        runs = {**self.zero_shot, **self.finetune}
        return self._one("run", runs, name)

    def dataset(self, name: str) -> Dataset:
        return self._one("dataset", self.datasets, name)

    def model(self, name: str) -> Model:
        return self._one("model", self.models, name)

    @staticmethod
    def _one(noun: str, known: dict, name: str):
        if name not in known:
            raise UserError(f"params.yaml: unknown {noun} {name!r}; known: {', '.join(known)}")
        return known[name]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml of the current folder. Raises UserError with one line that names the key."""
    try:
        raw = yaml.safe_load(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run this in the project's folder") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that there is not
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: it should be a mapping of sections")
    return parse(raw, str(path))


def parse(raw: dict, where: str = "params.yaml") -> Params:
    """Settings from a mapping. Raises UserError naming the first wrong key; how many more there are is said."""
    return validate(Params, raw, where)
