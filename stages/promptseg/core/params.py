"""params.yaml: its sections for data and models, and access to single entries.

A stage reads the entry that it is about and no other, so that a stage which prepares data knows nothing of prompts or
training. `core.runs` has the entries of runs, `core.study` the file as a whole.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from promptseg.core.errors import UserError
from promptseg.core.settings import Fraction, Settings, read_yaml, validate

PATH = Path("params.yaml")
BACKGROUND = "background"  # what Dataset.classes may name beside the reader's classes


def _module_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not the name of a module")
    return name


ModuleName = Annotated[str, pydantic.AfterValidator(_module_name)]
S = TypeVar("S", bound=Settings)


class Scale(Settings):
    """How much of the study is run."""

    data: Literal["sample", "official"] = "official"
    checkpoints: Literal["tiny", "official"] = "official"
    max_epochs: PositiveInt | None = None  # None: as each run says
    # Records with ground truth of each split, and as many empty ones, each evenly spaced; None: all
    max_images: PositiveInt | None = None


class Header(Settings):
    """What holds for all entries."""

    seed: NonNegativeInt = 0
    scale: Scale = Scale()


class Download(Settings):
    """Where the files of data/raw/<name> come from."""

    reader: ModuleName  # folder in datasets/
    source: str | None = None  # sample | official | an archive, or a folder of archives; None: as scale.data says


class Dataset(Settings):
    """How the samples of a folder are selected, tiled, filtered and split."""

    raw: str  # folder of the files in the reader's layout: data/raw/<name of a download>, or the user's own
    reader: ModuleName  # folder in datasets/; several entries may share one
    options: dict[str, Any] = {}  # settings of this reader alone
    classes: list[str] | dict[str, list[str]] | None = None  # of the reader's, kept or merged under new names
    resize: Annotated[int, Field(ge=16)] | None = None  # longer side in pixels, before tiling; None: unchanged
    tile: Annotated[int, Field(ge=16)] | None = None  # side in pixels; None: whole images
    overlap: NonNegativeInt = 0  # pixels shared by neighbouring tiles
    border: Literal["shift", "cut", "drop"] = "shift"  # last tile that does not fit: moved back, cut off or dropped
    # Records without any foreground are kept in the test split whatever these two say (preprocessing/filter.py).
    min_foreground: Fraction | None = 0.0  # keep records with a larger share of foreground; None: keep all
    min_pixels: NonNegativeInt = 0  # keep records with at least so many foreground pixels
    score: Literal["image", "tile"] = "image"  # unit of the scores: images that their tiles make up, or each tile
    skip_invalid: bool = False  # leave out, and count, unreadable samples; otherwise they end the stage
    val_fraction: Fraction = 0.1  # of the training groups, where the source has no validation split
    test_fraction: Fraction = 0.5  # of all groups, where the source has no test split

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if self.tile is not None and self.overlap >= self.tile:
            raise ValueError(f"overlap ({self.overlap}) must be smaller than tile ({self.tile})")
        if self.classes is not None and not self.classes:
            raise ValueError("classes is empty; leave it out to keep all")
        return self


class Model(Settings):
    """Where the released checkpoint of a model comes from; None: as the model's file says."""

    source: str | None = None  # tiny | official | a local file or folder; None: as scale.checkpoints says
    official: str | None = None  # repository on the Hugging Face hub
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None  # commit of that repository
    precision: Literal["fp32", "bf16", "auto"] = "fp32"  # of the frozen encoder; auto: measured by the checkpoint stage

    @pydantic.model_validator(mode="after")
    def _pinned(self):
        if (self.official is None) != (self.revision is None):
            raise ValueError("official and revision go together: a repository on the hub and a commit (40 hex digits)")
        return self


class ParamsFile:
    """params.yaml, validated entry by entry.

    Args:
        path: the file.

    Raises:
        UserError: the file is missing or damaged, or `seed` or `scale` is wrong.
    """

    def __init__(self, path: Path = PATH):
        self._path, self._raw = str(path), read_yaml(path)
        header = validate(Header, {key: self._raw[key] for key in Header.model_fields if key in self._raw}, self._path)
        self.seed, self.scale = header.seed, header.scale

    def entry(self, section: str, name: str, kind: type[S]) -> S:
        """Validate one entry, such as `datasets.em`.

        Raises:
            UserError: there is no such entry (the known ones are listed), or it is wrong.
        """
        known = self._raw.get(section) or {}
        if not isinstance(known, dict) or name not in known:
            listed = ", ".join(map(str, known)) if isinstance(known, dict) else "none"
            raise UserError(f"{self._path}: unknown entry {name!r} in {section}; known: {listed}")
        return validate(kind, known[name] or {}, self._path, f"{section}.{name}")

    def download(self, name: str) -> Download:
        """Entry of `download`."""
        return self.entry("download", name, Download)

    def dataset(self, name: str) -> Dataset:
        """Entry of `datasets`."""
        return self.entry("datasets", name, Dataset)

    def model(self, name: str) -> Model:
        """Entry of `models`."""
        return self.entry("models", name, Model)
